import type { Client } from '@connectrpc/connect'
import type { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import type { AppendEventsRequest, IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { AliasService } from '#gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { EvaluationService } from '#gen/modelkeep/metadata/v1/evaluation_service_pb.ts'
import { GateService } from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { NamespaceService } from '#gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { PromotionService } from '#gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { VersionService } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { createAuthenticate, type TrustedServices } from '#lib/access/authenticate.ts'
import { createCallerCache } from '#lib/access/caller-cache.ts'
import type { Logger } from '#lib/process/log.ts'
import { RefusalThrottle } from '#lib/server/refusals.ts'
import { startRelay } from '#lib/events/relay.ts'
import type { Service } from '#lib/server/service.ts'
import { forkFor, type Database } from '#lib/store/database.ts'
import { outboxReader, recordRefusal } from '#lib/store/outbox.ts'
import { deleteExpiredRequests } from '#lib/store/requests.ts'
import { repeat } from '#lib/process/background.ts'
import { createEvaluator } from './conditions/evaluator.ts'
import { startExpiry } from './jobs/expiry.ts'
import { startReleases } from './jobs/releases.ts'
import { aliasRoutes } from './rpc/alias/routes.ts'
import { rejectedTokenReporter } from './rpc/identity/report-rejected-token.ts'
import type { IdentityDeps, RegistryDeps } from './deps.ts'
import { evaluationRoutes } from './rpc/evaluation/routes.ts'
import { gateRoutes } from './rpc/gate/routes.ts'
import { identityRoutes } from './rpc/identity/routes.ts'
import { modelRoutes } from './rpc/model/routes.ts'
import { namespaceRoutes } from './rpc/namespace/routes.ts'
import { promotionRoutes } from './rpc/promotion/routes.ts'
import { versionRoutes } from './rpc/version/routes.ts'
import { findCaller } from './store/identity/token-lookup.ts'

export interface MetadataDeps {
  database: Database
  logger: Logger
  draining: AbortSignal
  trustedServices: TrustedServices
  /** Client of the artifact service, which stores the files of versions. */
  manifests: Client<typeof ManifestService>
  /** Client of the audit service, which stores the events. */
  ingest: Client<typeof IngestService>
  /** Seconds that a change waits for its index in the audit log; 0 for no wait. RPCs that the proto declares minor never
   * wait. */
  failClosedSeconds?: number
}

const CLEANUP_INTERVAL_MS = 10 * 60_000

/** The metadata service: namespaces, models, versions, aliases, evaluations, gates, promotions, tokens and roles. */
export function metadataService(deps: MetadataDeps): Service {
  const { database, logger, manifests, ingest } = deps
  const append = (request: AppendEventsRequest) => ingest.appendEvents(request)
  const { jobs, health, identity } = database
  const relay = startRelay(outboxReader(database, 'metadata'), append, logger, deps.failClosedSeconds)
  const releases = startReleases({ database: jobs, manifests, logger })
  const expiry = startExpiry({ database: jobs, relay, logger })
  const cleanup = repeat(
    'deletion of expired requests',
    CLEANUP_INTERVAL_MS,
    () => deleteExpiredRequests(forkFor(jobs)),
    logger,
  )
  const refusals = new RefusalThrottle(async (refusal) => {
    await recordRefusal(database, refusal)
    relay.wake()
  }, logger)
  const reportRejectedToken = rejectedTokenReporter((refusal) => refusals.report(refusal), logger)
  const callers = createCallerCache((tokenHash) => findCaller(identity, tokenHash, reportRejectedToken))
  const evaluator = createEvaluator()
  return {
    ...registryServices(
      { database, manifests, relay, releases, evaluator, callers },
      { database, relay, reportRejectedToken, callers },
    ),
    authenticate: createAuthenticate(deps.trustedServices, callers.lookUp),
    recordRefusal: (refusal) => refusals.report(refusal),
    async check(_service, signal) {
      await forkFor(health, signal).execute('select 1')
      return true
    },
    async close() {
      await refusals.close()
      await Promise.all([relay.stop(), releases.stop(), expiry.stop(), cleanup.stop(), evaluator.close()])
      await database.close(true)
    },
  }
}

const SERVICES = [
  NamespaceService,
  ModelService,
  VersionService,
  AliasService,
  EvaluationService,
  GateService,
  PromotionService,
  IdentityService,
]

function registryServices(
  registry: RegistryDeps,
  identity: IdentityDeps,
): Pick<Service, 'services' | 'routes' | 'zeroCopyMethods'> {
  return {
    services: SERVICES,
    // Deployment controllers resolve often, and each call is small: the work around a handler is most of its cost.
    zeroCopyMethods: SERVICES.flatMap(({ methods }) => methods.map((method) => ({ method }))),
    routes(router) {
      router.service(NamespaceService, namespaceRoutes(registry))
      router.service(ModelService, modelRoutes(registry))
      router.service(VersionService, versionRoutes(registry))
      router.service(AliasService, aliasRoutes(registry))
      router.service(EvaluationService, evaluationRoutes(registry))
      router.service(GateService, gateRoutes(registry))
      router.service(PromotionService, promotionRoutes(registry))
      router.service(IdentityService, identityRoutes(identity))
    },
  }
}
