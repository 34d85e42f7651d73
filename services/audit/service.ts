import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { PrivacyService } from '#gen/modelkeep/audit/v1/privacy_service_pb.ts'
import { ProofService } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { createTokenLookup, createAuthenticate } from '#lib/access/authenticate.ts'
import type { ZeroCopyMethod } from '#lib/byte-streams/handler.ts'
import { ShareLimit } from '#lib/server/limits/share-limit.ts'
import { FairScheduler } from '#lib/server/limits/fair-scheduler.ts'
import { RefusalThrottle } from '#lib/server/refusals.ts'
import type { Service } from '#lib/server/service.ts'
import { forkFor } from '#lib/store/database.ts'
import { recordRefusal } from './changes/record-refusal.ts'
import type { AuditDeps, LogDeps } from './deps.ts'
import { FOREVER } from './domain/retention.ts'
import { startPublisher } from './jobs/publisher.ts'
import { startRetention } from './jobs/retention.ts'
import { startCopier } from './jobs/worm.ts'
import { createLogTail } from './log-tail.ts'
import { ingestRoutes } from './rpc/ingest/routes.ts'
import { logRoutes } from './rpc/log/routes.ts'
import { privacyRoutes } from './rpc/privacy/routes.ts'
import { proofRoutes } from './rpc/proof/routes.ts'
import { serveTiles } from './serve-tiles.ts'
import { KnownTree } from './store/tree/known-tree.ts'
import { readLogSize } from './store/log/log-head.ts'

/** The methods that are called most often. */
const ZERO_COPY_METHODS: ZeroCopyMethod[] = [
  { method: IngestService.method.appendEvents },
  { method: ProofService.method.getCheckpoint },
  { method: ProofService.method.getInclusionProof },
  { method: ProofService.method.getConsistencyProof },
  { method: ProofService.method.getProofBundle },
]

const DEFAULT_MAX_STREAMS = 1024
/** Reads of watches and exports at a time. Thousands of watches that begin together begin one after the other. */
const STREAM_READS = 2

/** The governance log: records the events of the other services, shows them to authorized callers, and proves them. */
export function auditService(deps: AuditDeps): Service {
  const { database, logger, draining, trustedServices, identity, signer, cosigning, worm } = deps
  const { privateDetails = [], retention = FOREVER } = deps
  const tree = new KnownTree(database)
  const tail = createLogTail(() => readLogSize(forkFor(database)))
  const streams = new ShareLimit(deps.maxStreams ?? DEFAULT_MAX_STREAMS, 'open streams')
  const reads = new FairScheduler(STREAM_READS)
  const log: LogDeps = { database, tree, draining, tail, streams, reads, logger, privateDetails, retention }
  const { jobs, health } = database
  const ownWork: LogDeps = { ...log, database: jobs }
  const refusals = new RefusalThrottle((refusal) => recordRefusal(ownWork, refusal), logger)
  const expiry = startRetention(ownWork, retention, deps.expireEveryMs)
  const publisher = signer && startPublisher({ database: jobs, signer, cosigning, logger })
  const copier = worm && startCopier(jobs, worm, logger)
  return {
    services: [IngestService, LogService, ProofService, PrivacyService],
    routes: (router) => [ingestRoutes, logRoutes, proofRoutes, privacyRoutes].forEach((routes) => routes(log)(router)),
    zeroCopyMethods: ZERO_COPY_METHODS,
    plain: (path, admit) => serveTiles(log, path, admit),
    authenticate: createAuthenticate(trustedServices, createTokenLookup(identity)),
    recordRefusal: (refusal) => refusals.report(refusal),
    async check(service, late) {
      if (service === ProofService.typeName && publisher?.isSigning() === false) return false
      return (await readLogSize(forkFor(health, late))) >= 0
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
