import type { Client } from '@connectrpc/connect'
import type { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import type { TrustedServices } from '#lib/access/authenticate.ts'
import type { Logger } from '#lib/process/log.ts'
import type { Database } from '#lib/store/database.ts'
import type { ShareLimit } from '#lib/server/limits/share-limit.ts'
import type { FairScheduler } from '#lib/server/limits/fair-scheduler.ts'
import type { Retention } from './domain/retention.ts'
import type { WormSettings } from './jobs/worm.ts'
import type { LogTail } from './log-tail.ts'
import type { Signer } from './signer.ts'
import type { KnownTree } from './store/tree/known-tree.ts'
import type { Cosigning } from './witnesses/cosigning.ts'

/** Dependencies and settings of the audit service. */
export interface AuditDeps {
  database: Database
  logger: Logger
  /** Aborted when the process begins to drain. */
  draining: AbortSignal
  trustedServices: TrustedServices
  /** Client of the metadata service, which knows the tokens. */
  identity: Client<typeof IdentityService>
  /** Signs checkpoints. A process without one serves the log and publishes no checkpoints. */
  signer?: Signer | undefined
  /** Keys of `details` whose values are stored beside the leaves, not in them. */
  privateDetails?: readonly string[]
  /** How long private values are stored. Default: without limit. */
  retention?: Retention | undefined
  /** Milliseconds between two passes of the retention job. Default: an hour. */
  expireEveryMs?: number | undefined
  /** The witnesses whose cosignatures the checkpoints need. */
  cosigning?: Cosigning | undefined
  /** The locked bucket to which the log is copied. */
  worm?: WormSettings | undefined
  /** Limit of the watches and exports at a time; one principal has three quarters. Default 1,024. */
  maxStreams?: number | undefined
}

/** Dependencies of the handlers, changes and jobs of the log. */
export interface LogDeps extends Pick<AuditDeps, 'database' | 'draining' | 'logger'> {
  tree: KnownTree
  tail: LogTail
  /** Limits the number of watches and exports at a time. */
  streams: ShareLimit
  /** Limits the reads of watches and exports at a time, so that most connections of the pool serve other calls. */
  reads: FairScheduler
  privateDetails: readonly string[]
  retention: Retention
}
