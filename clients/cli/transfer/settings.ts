// Reads the settings of transfers.
import { countBuffersInHeapLimit } from '#lib/process/heap.ts'
import { failUsage } from '../terminal/cli-error.ts'
import type { Environment } from '../settings.ts'
import type { TransferMode } from './modes.ts'
import { ModeSelector } from './mode-selector.ts'
import { isLoopback } from './loopback.ts'

const DEFAULT_STALL_SECONDS = 15

/** `artifactAddress`: the address of the artifact service, which signs the URLs of the store. Throws CliError. */
export function openModeSelector(mode: TransferMode, env: Environment, artifactAddress: string): ModeSelector {
  const text = env['MODELKEEP_STALL_SECONDS'] || String(DEFAULT_STALL_SECONDS)
  const seconds = Number(text)
  if (!/^[\d.]+$/.test(text) || !(seconds > 0 && seconds <= 3600)) {
    failUsage(`MODELKEEP_STALL_SECONDS "${text}" is not a number of seconds up to 3600`)
  }
  // A transfer allocates many short-lived buffers.
  countBuffersInHeapLimit()
  const { protocol, hostname } = new URL(artifactAddress)
  return new ModeSelector({ mode, stallMs: seconds * 1000, secure: protocol === 'https:', local: isLoopback(hostname) })
}
