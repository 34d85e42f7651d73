import type { Client } from '@connectrpc/connect'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { PrivacyService } from '#gen/modelkeep/audit/v1/privacy_service_pb.ts'
import { ProofService } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import type { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { createTokenLookup, createAuthenticate, type TrustedServices } from '#lib/access/authenticate.ts'
import type { Logger } from '#lib/process/log.ts'
import { RefusalThrottle } from '#lib/server/refusals.ts'
import type { Service } from '#lib/server/service.ts'
import { forkFor, type Database } from '#lib/store/database.ts'
import type { Cosigning } from './jobs/cosigning.ts'
import { FOR_EVER, type Retention } from './domain/retention.ts'
import { startPublisher } from './jobs/publisher.ts'
import { startRetention } from './jobs/retention.ts'
import { answerTiles } from './rpc/proof/answer-tiles.ts'
import { logRoutes } from './rpc/log/log.ts'
import type { LogDeps } from './deps.ts'
import { privacyRoutes } from './rpc/privacy/privacy.ts'
import { FAST_METHODS, proofRoutes } from './rpc/proof/proof.ts'
import { recordRefusal } from './changes/record-refusal.ts'
import { createTail } from './rpc/log/tail.ts'
import type { Signer } from './signer.ts'
import { KnownTree } from './store/known-tree.ts'
import { readLogSize } from './store/read.ts'
import { startCopier, type WormSettings } from './jobs/worm.ts'

export interface AuditDeps {
  database: Database
  logger: Logger
  draining: AbortSignal
  trustedServices: TrustedServices
  /** The metadata service, which knows the tokens. */
  identity: Client<typeof IdentityService>
  /** Signs checkpoints. A process without one serves the log and publishes none. */
  signer?: Signer | undefined
  /** Keys of `details` whose values are kept outside of the leaves. */
  privateDetails?: readonly string[]
  /** How long private values are kept. Default for ever. */
  retention?: Retention | undefined
  /** How often it is looked for private values whose time is over. Default an hour. */
  expireEveryMs?: number | undefined
  /** Whose cosignatures its checkpoints need. */
  cosigning?: Cosigning | undefined
  /** Where the log is copied to. */
  worm?: WormSettings | undefined
}

/** The governance log: takes events from its sisters, shows them to whoever may see them, and proves them. */
export function auditService(deps: AuditDeps): Service {
  const { database, logger, draining, trustedServices, identity, signer, cosigning, worm } = deps
  const readSize = (): Promise<number> => readLogSize(forkFor(database))
  const { privateDetails = [], retention = FOR_EVER } = deps
  const tree = new KnownTree(database)
  const log: LogDeps = { database, tree, draining, tail: createTail(readSize), logger, privateDetails, retention }
  const refusals = new RefusalThrottle((refusal) => recordRefusal(log, refusal), logger)
  const expiry = startRetention(log, retention, deps.expireEveryMs)
  const publisher = signer && startPublisher({ database, signer, cosigning, logger })
  const copier = worm && startCopier(database, worm, logger)
  return {
    services: [IngestService, LogService, ProofService, PrivacyService],
    routes(router) {
      logRoutes(log)(router)
      proofRoutes(log)(router)
      privacyRoutes(log)(router)
    },
    fastMethods: FAST_METHODS,
    plain: (path, admit) => answerTiles(log, path, admit),
    authenticate: createAuthenticate(trustedServices, createTokenLookup(identity)),
    recordRefusal: (refusal) => refusals.report(refusal),
    async check(service, late) {
      if (service === ProofService.typeName && publisher?.isSigning() === false) return false
      return (await readLogSize(forkFor(database, late))) >= 0
    },
    async close() {
      await refusals.close()
      await publisher?.stop()
      await copier?.stop()
      await expiry.stop()
      await database.close(true)
    },
  }
}
