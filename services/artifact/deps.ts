// What the handlers work with.
import type { Logger } from '#lib/process/log.ts'
import type { Relay } from '#lib/events/relay.ts'
import type { Database } from '#lib/store/database.ts'
import type { ByteBudget } from './domain/byte-budget.ts'
import type { StreamLimit } from './domain/stream-limit.ts'
import type { Lanes } from './domain/lanes.ts'
import type { RunningDigests } from './domain/running-digest.ts'
import type { ByteStore } from './store/byte-store.ts'
import type { Background } from '#lib/process/background.ts'
import type { Reads } from './rpc/streaming/reads.ts'
import type { SimpleLane } from './changes/simple-lane.ts'
import type { GarbageTerms } from './jobs/garbage/collector.ts'

export interface Backend {
  database: Database
  bytes: ByteStore
  logger: Logger
  /** How many streams carry bytes at a time. */
  streams: StreamLimit
  /** The memory that transfers share. */
  budget: ByteBudget
  /** Of uploads in parts that this process takes. */
  digests: RunningDigests
  relay: Relay
  janitor: Background
  /** Which ways bytes may take. */
  lanes: Lanes
  /** Tells who reads what. */
  reads: Reads
  /** Verifies what is stored. */
  scrubber: Background
  /** When what is garbage. */
  terms: GarbageTerms
  simpleLane: SimpleLane
  streamIdleSeconds: number
  uploadMinBytesPerSecond: number
  uploadExpireSeconds: number
  uploadLimit: number
  /** Aborted when the service closes: work that outlives its call ends on it. */
  closing: AbortSignal
  /** Work that `close` waits for. */
  running: Set<Promise<unknown>>
}
