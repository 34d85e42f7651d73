// Collects garbage and sweeps the store from time to time, one replica at a time.
import { loop, type Background } from '#lib/process/background.ts'
import type { Logger } from '#lib/process/log.ts'
import type { Database } from '#lib/store/database.ts'
import type { ByteStore } from '../../store/byte-store.ts'
import { claimChore } from '../../store/chore.ts'
import { collect, type Terms } from '../../store/garbage/collect.ts'
import { bySystem } from '../../store/events.ts'
import { requireStore } from '../../store/installation.ts'
import { sweepOrphans } from '../../store/garbage/orphans.ts'
import type { ScrubTerms } from '../scrub/scrub.ts'

export interface GarbageTerms extends Terms, ScrubTerms {
  /** How old something in the store must be before it counts as nobody's. */
  orphanSeconds: number
}

const HOUR = 3600
export const USUAL_TERMS: GarbageTerms = {
  leaseSeconds: 24 * HOUR,
  graceSeconds: 25 * HOUR,
  orphanSeconds: 48 * HOUR,
  scrubDays: 30,
  scrubBytesPerSecond: 32 * 1024 * 1024,
}

export interface CollectorOptions {
  database: Database
  bytes: ByteStore
  logger: Logger
  terms: GarbageTerms
  everyMs: number
}

const COLLECT_EVERY_SECONDS = 600
const SWEEP_EVERY_SECONDS = 6 * HOUR

export function startCollector(options: CollectorOptions): Background {
  const { database, logger, terms } = options
  let failing = false
  let isMarked = false
  return loop(options.everyMs, async (stopping) => {
    try {
      // Before anything of this installation is old enough to be taken for nobody's by another.
      if (!isMarked) await requireStore(options)
      isMarked = true
      if (await claimChore(database, 'collect', COLLECT_EVERY_SECONDS)) {
        for await (const _ of collect(database, bySystem, { ...terms, stopping }));
      }
      if (await claimChore(database, 'sweep', SWEEP_EVERY_SECONDS)) {
        await sweep(options, stopping)
      }
      failing = false
    } catch (error) {
      if (stopping.aborted) return
      if (!failing) logger.warn({ error }, 'garbage cannot be collected at present; it is tried again')
      failing = true
    }
  })
}

async function sweep({ database, bytes, logger, terms }: CollectorOptions, stopping: AbortSignal): Promise<void> {
  try {
    for await (const _ of sweepOrphans(database, bytes, bySystem, { ...terms, stopping }));
  } catch (error) {
    if (!stopping.aborted) logger.error({ error }, 'what nobody knows cannot be removed from the store')
  }
}
