import type { Client } from '@connectrpc/connect'
import type { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import type { Database } from '#lib/store/database.ts'
import type { TellDeadToken } from './store/identity/identity.ts'

export interface RegistryDeps {
  database: Database
  /** Of the sister service artifact. */
  manifests: Pick<Client<typeof ManifestService>, 'retainManifest'>
  /** See `settleChange`. */
  relay: { wake(): void; settle(): Promise<void> }
  /** Told when manifests are to be let go. */
  releases: { wake(): void }
}

export interface IdentityDeps {
  database: Database
  /** See `settleChange`. */
  relay: { wake(): void; settle(): Promise<void> }
  tellDead: TellDeadToken
}
