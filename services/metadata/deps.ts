import type { Client } from '@connectrpc/connect'
import type { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import type { Evaluator } from './conditions/evaluator.ts'
import type { Database } from '#lib/store/database.ts'
import type { ReportRejectedToken } from './store/identity/token-lookup.ts'

export interface RegistryDeps {
  database: Database
  /** Client of the artifact service. */
  manifests: Pick<Client<typeof ManifestService>, 'retainManifest'>
  /** Relays events to the audit log; see `settleChange`. */
  relay: { wake(): void; settle(): Promise<void> }
  /** The job that releases manifests. */
  releases: { wake(): void }
  /** Evaluates the conditions of gates. */
  evaluator: Evaluator
  /** The callers that this process remembers. */
  callers: { clear(): void }
}

export interface IdentityDeps {
  database: Database
  /** Relays events to the audit log; see `settleChange`. */
  relay: { wake(): void; settle(): Promise<void> }
  reportRejectedToken: ReportRejectedToken
  /** The callers that this process remembers. */
  callers: { clear(): void }
}
