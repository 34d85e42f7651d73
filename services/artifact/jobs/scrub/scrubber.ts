// Verifies stored bytes in the background.
import { loop, type Background } from '#lib/process/background.ts'
import type { Logger } from '#lib/process/log.ts'
import type { Database } from '#lib/store/database.ts'
import { recordVerdict } from '../../store/blobs/quarantine.ts'
import { claimDue, type ScrubLimits } from '../../store/blobs/scrub-queue.ts'
import { verifyBytes } from '../../store/blobs/verify-bytes.ts'
import type { ByteStore } from '../../store/byte-store.ts'

export interface ScrubberOptions {
  database: Database
  bytes: ByteStore
  logger: Logger
  limits: ScrubLimits
  everyMs: number
}

export function startScrubber(options: ScrubberOptions): Background {
  let failing = false
  return loop(options.everyMs, async (stopping) => {
    try {
      while (!stopping.aborted && (await scrubOne(options, stopping))) failing = false
    } catch (error) {
      if (stopping.aborted) return
      if (!failing) options.logger.warn({ error }, 'verification of stored bytes failed; the scrubber retries it')
      failing = true
    }
  })
}

/** Verifies the bytes that were verified longest ago. Returns false if nothing is due. */
export async function scrubOne(options: Omit<ScrubberOptions, 'everyMs'>, stopping: AbortSignal): Promise<boolean> {
  const due = await claimDue(options.database, options.limits)
  if (!due) return false
  const bytesPerSecond = options.limits.scrubBytesPerSecond
  const problem = await verifyBytes(options, due, { signal: stopping, bytesPerSecond })
  await recordVerdict(options, due, problem)
  return true
}
