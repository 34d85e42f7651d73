// The dependencies of the handlers.
import type { Logger } from '#lib/process/log.ts'
import type { Relay } from '#lib/events/relay.ts'
import type { ShareLimit } from '#lib/server/limits/share-limit.ts'
import type { Database } from '#lib/store/database.ts'
import type { ByteBudget } from './domain/byte-budget.ts'
import type { RunningDigests } from './domain/running-digest.ts'
import type { AllowedModes } from './domain/transfer-modes.ts'
import type { ByteStore } from './store/byte-store.ts'
import type { Background } from '#lib/process/background.ts'
import type { ReadAudit } from './rpc/streaming/read-audit.ts'
import type { BlobCommitBatcher } from './changes/blob-commit-batcher.ts'
import type { GarbagePeriods } from './jobs/garbage/collector.ts'

export interface Backend {
  database: Database
  bytes: ByteStore
  logger: Logger
  /** Limits the streams that carry bytes at a time. */
  streams: ShareLimit
  /** Limits the memory that transfers share. */
  budget: ByteBudget
  /** Running digests of the resumable uploads whose parts this process receives. */
  digests: RunningDigests
  relay: Relay
  janitor: Background
  transferModes: AllowedModes
  /** Records reads in the audit log. */
  readAudit: ReadAudit
  /** Verifies stored bytes in the background. */
  scrubber: Background
  /** The times after which unused data counts as garbage. */
  periods: GarbagePeriods
  blobCommits: BlobCommitBatcher
  streamIdleSeconds: number
  uploadMinBytesPerSecond: number
  uploadExpireSeconds: number
  uploadLimit: number
  /** Aborted when the service stops; it also stops background work. */
  closing: AbortSignal
  /** Work that outlives its call; the service waits for it before it stops. */
  running: Set<Promise<unknown>>
}
