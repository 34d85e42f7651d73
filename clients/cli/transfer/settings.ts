// The options and settings of transfers.
import { countBuffersInHeapLimit } from '#lib/process/heap.ts'
import { failUsage } from '../terminal/cli-error.ts'
import type { Environment } from '../settings.ts'
import type { LaneChoice } from './choices.ts'
import { Lanes } from './lanes.ts'
import { isLocal } from './local.ts'

const DEFAULT_STALL_SECONDS = 15

/** `artifactAddress`: of the service that gives the addresses in the store. */
export function openLanes(choice: LaneChoice, env: Environment, artifactAddress: string): Lanes {
  const text = env['MODELKEEP_STALL_SECONDS'] || String(DEFAULT_STALL_SECONDS)
  const seconds = Number(text)
  if (!/^[\d.]+$/.test(text) || !(seconds > 0 && seconds <= 3600)) {
    failUsage(`MODELKEEP_STALL_SECONDS "${text}" is not a number of seconds up to 3600`)
  }
  // Bytes are about to pass.
  countBuffersInHeapLimit()
  const { protocol, hostname } = new URL(artifactAddress)
  return new Lanes({ choice, stallMs: seconds * 1000, secure: protocol === 'https:', local: isLocal(hostname) })
}
