// Collects garbage and sweeps the store at intervals. One replica at a time does it.
import { loop, type Background } from '#lib/process/background.ts'
import type { Logger } from '#lib/process/log.ts'
import type { Database } from '#lib/store/database.ts'
import type { ScrubLimits } from '../../store/blobs/scrub-queue.ts'
import type { ByteStore } from '../../store/byte-store.ts'
import { claimChore } from '../../store/chore.ts'
import { bySystem } from '../../store/events.ts'
import { collect, type CollectPeriods } from '../../store/garbage/collect.ts'
import { sweepOrphans } from '../../store/garbage/orphans.ts'
import { requireStore } from '../../store/installation.ts'

export interface GarbagePeriods extends CollectPeriods, ScrubLimits {
  /** Age from which an object in the store that has no row counts as an orphan. */
  orphanSeconds: number
}

const HOUR = 3600
export const DEFAULT_PERIODS: GarbagePeriods = {
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
  periods: GarbagePeriods
  everyMs: number
}

const COLLECT_EVERY_SECONDS = 600
const SWEEP_EVERY_SECONDS = 6 * HOUR

export function startCollector(options: CollectorOptions): Background {
  const { database, logger, periods } = options
  let failing = false
  let isMarked = false
  return loop(options.everyMs, async (stopping) => {
    try {
      // Without the mark, another installation would take the objects of this one for orphans once they are old enough.
      if (!isMarked) await requireStore(options)
      isMarked = true
      if (await claimChore(database, 'collect', COLLECT_EVERY_SECONDS)) {
        for await (const _ of collect(database, bySystem, { ...periods, stopping }));
      }
      if (await claimChore(database, 'sweep', SWEEP_EVERY_SECONDS)) {
        await sweep(options, stopping)
      }
      failing = false
    } catch (error) {
      if (stopping.aborted) return
      if (!failing) logger.warn({ error }, 'garbage collection failed; the collector retries it')
      failing = true
    }
  })
}

async function sweep({ database, bytes, logger, periods }: CollectorOptions, stopping: AbortSignal): Promise<void> {
  try {
    for await (const _ of sweepOrphans(database, bytes, bySystem, { ...periods, stopping }));
  } catch (error) {
    if (!stopping.aborted) logger.error({ error }, 'the sweep of orphans failed')
  }
}
