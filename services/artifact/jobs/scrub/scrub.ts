// Reads stored bytes again and compares them with what they should be.
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { loop, type Background } from '#lib/process/background.ts'
import type { Logger } from '#lib/process/log.ts'
import { forkFor, type Database } from '#lib/store/database.ts'
import { isByteStoreProblem, type ByteStore } from '../../store/byte-store.ts'
import { requireStore, type Stores } from '../../store/installation.ts'
import { noteVerdict } from '../../store/blobs/quarantine.ts'

export interface ScrubTerms {
  /** How often all that is stored is read again; 0 is never. What somebody got wrong, and what is quarantined, is read again
   * at any rate. */
  scrubDays: number
  scrubBytesPerSecond: number
}

export interface ScrubbedBytes {
  digest: string
  objectKey: string
  sizeBytes: number
  partSizeBytes: number
  partSha256s: Buffer
  verifyTime: string
}

/** What is wrong; undefined where all is right. */
export type Problem = 'missing' | 'size' | 'content' | undefined

export interface ScrubberOptions {
  database: Database
  bytes: ByteStore
  logger: Logger
  terms: ScrubTerms
  everyMs: number
}

export function startScrubber(options: ScrubberOptions): Background {
  let failing = false
  return loop(options.everyMs, async (stopping) => {
    try {
      while (!stopping.aborted && (await scrubOne(options, stopping))) failing = false
    } catch (error) {
      if (stopping.aborted) return
      if (!failing) options.logger.warn({ error }, 'stored bytes cannot be verified at present; it is tried again')
      failing = true
    }
  })
}

/** Verifies what was verified longest ago. False where nothing is due. */
export async function scrubOne(options: Omit<ScrubberOptions, 'everyMs'>, stopping: AbortSignal): Promise<boolean> {
  const { database, logger, terms } = options
  const due = await claimDue(database, terms)
  if (!due) return false
  const problem = await verifyBytes(options, due, { signal: stopping, bytesPerSecond: terms.scrubBytesPerSecond })
  await note(database, logger, due, problem)
  return true
}

export async function note(database: Database, logger: Logger, seen: ScrubbedBytes, problem: Problem): Promise<void> {
  const { digest, objectKey } = seen
  if (problem) logger.error({ digest, objectKey, problem }, 'stored bytes are not what they should be')
  await noteVerdict(database, seen, problem ? 'QUARANTINED' : 'PRESENT', problem ?? '')
}

interface Row {
  digest: string
  object_key: string
  size_bytes: string
  part_size_bytes: string
  part_sha256s: Buffer
  verify_time: string
}

const IS_FREE = '(verifying_until is null or verifying_until < now())'
/** What was quarantined while the store was at fault is served again soon, and what is bad is read for a small part of the
 * time only. */
const IS_DUE_AGAIN = `state = 'QUARANTINED' and verify_time < now() - make_interval(secs => 3600 + size_bytes * 40.0 / ?)`

/** A claim lasts four times as long as the work should. */
async function claimDue(database: Database, terms: ScrubTerms): Promise<ScrubbedBytes | undefined> {
  const { scrubDays, scrubBytesPerSecond } = terms
  const [row] = await forkFor(database).execute<Row[]>(
    `update blob set verifying_until = now() + make_interval(secs => 60 + size_bytes * 4.0 / ?)
      where digest = coalesce(
        (select digest from blob where ${IS_DUE_AGAIN} and ${IS_FREE} order by verify_time limit 1 for update skip locked),
        (select digest from blob
          where verify_time < case when ? > 0 then now() - make_interval(days => ?) else '1971-01-01' end and ${IS_FREE}
          order by verify_time limit 1 for update skip locked)
      ) returning digest, object_key, size_bytes, part_size_bytes, part_sha256s, verify_time`,
    [scrubBytesPerSecond, scrubBytesPerSecond, scrubDays, scrubDays],
  )
  return (
    row && {
      digest: row.digest,
      objectKey: row.object_key,
      sizeBytes: Number(row.size_bytes),
      partSizeBytes: Number(row.part_size_bytes),
      partSha256s: row.part_sha256s,
      verifyTime: row.verify_time,
    }
  )
}

export interface VerifyOptions {
  signal: AbortSignal
  /** As fast as the store is without. */
  bytesPerSecond?: number
  /** Called for every 64 MiB or so. */
  onProgress?: (readBytes: number) => void
}

/** Reads twice before it says that anything is wrong: what one read got wrong may have been the way, not the store. A store
 * that is away has lost nothing. */
export async function verifyBytes(stores: Stores, blob: ScrubbedBytes, options: VerifyOptions): Promise<Problem> {
  let problem: Problem
  for (let reads = 0; reads < 2; reads += 1) {
    problem = await compare(stores.bytes, blob, options)
    if (!problem) return undefined
    await requireStore(stores)
  }
  return problem
}

async function compare(bytes: ByteStore, blob: ScrubbedBytes, options: VerifyOptions): Promise<Problem> {
  const size = await bytes.stat(blob.objectKey)
  if (size === undefined) return 'missing'
  if (size !== blob.sizeBytes) return 'size'
  try {
    const { digest, partSha256s } = await hashStored(bytes, blob, options)
    return digest === blob.digest && partSha256s.equals(blob.partSha256s) ? undefined : 'content'
  } catch (error) {
    if (isByteStoreProblem(error, 'object gone')) return 'missing'
    throw error
  }
}

const PROGRESS_BYTES = 64 * 1024 * 1024

async function hashStored(bytes: ByteStore, blob: ScrubbedBytes, { signal, ...options }: VerifyOptions) {
  const whole = createHash('sha256')
  const parts: Buffer[] = []
  let part = createHash('sha256')
  const begin = performance.now()
  let read = 0
  for await (const chunk of bytes.read(blob.objectKey, 0, blob.sizeBytes, signal)) {
    whole.update(chunk)
    for (let rest = chunk; rest.length > 0;) {
      const piece = rest.subarray(0, blob.partSizeBytes - (read % blob.partSizeBytes))
      part.update(piece)
      rest = rest.subarray(piece.length)
      if (Math.floor(read / PROGRESS_BYTES) < Math.floor((read + piece.length) / PROGRESS_BYTES))
        options.onProgress?.(read + piece.length)
      read += piece.length
      if (read % blob.partSizeBytes !== 0 || read === blob.sizeBytes) continue
      parts.push(part.digest())
      part = createHash('sha256')
    }
    await slowDown(begin, read, options.bytesPerSecond, signal)
  }
  parts.push(part.digest())
  return { digest: `sha256:${whole.digest('hex')}`, partSha256s: Buffer.concat(parts) }
}

async function slowDown(begin: number, read: number, bytesPerSecond = Infinity, signal: AbortSignal): Promise<void> {
  const early = begin + (read / bytesPerSecond) * 1000 - performance.now()
  if (early > 50) await sleep(early, undefined, { signal })
}
