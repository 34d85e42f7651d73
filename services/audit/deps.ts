import type { Logger } from '#lib/process/log.ts'
import type { Database } from '#lib/store/database.ts'
import type { Retention } from './domain/retention.ts'
import type { Tail } from './rpc/log/tail.ts'
import type { KnownTree } from './store/known-tree.ts'

export interface LogDeps {
  database: Database
  tree: KnownTree
  tail: Tail
  /** Aborted when the process begins to drain. */
  draining: AbortSignal
  logger: Logger
  /** Keys of `details` whose values are kept outside of the leaves. */
  privateDetails: readonly string[]
  /** How long private values are kept. */
  retention: Retention
}
