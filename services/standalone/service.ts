// The three services in one process. They call each other through clients and sockets, on an inner address of their own,
// so that calls in flight can end after the public address is closed.
import { randomBytes } from 'node:crypto'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { hashToken, SERVICE_TOKEN_PREFIX } from '#lib/access/authenticate.ts'
import { peerClient } from '#lib/server/peers.ts'
import { createLogger } from '#lib/process/log.ts'
import { serve } from '#lib/server/serve.ts'
import type { Service } from '#lib/server/service.ts'
import { SERVICE_NAMES, type ServiceName } from '#lib/process/settings.ts'
import type { DownloadPolicy } from '../artifact/domain/download-policy.ts'
import { artifactService, type ArtifactLimits } from '../artifact/service.ts'
import { DirectoryStore } from '../artifact/store/directory/directory-store.ts'
import { prepareStore } from '../artifact/store/installation.ts'
import { openStore as openArtifact } from '../artifact/store/orm.ts'
import type { Retention } from '../audit/domain/retention.ts'
import { auditService } from '../audit/service.ts'
import type { Signer } from '../audit/signer.ts'
import { openStore as openAudit } from '../audit/store/orm.ts'
import { metadataService } from '../metadata/service.ts'
import { openStore as openMetadata } from '../metadata/store/orm.ts'
import { freePort } from './postgres.ts'

export interface StandaloneDeps {
  databaseUrl: string
  /** Directory of the stored bytes. */
  objects: string
  logLevel: string
  draining: AbortSignal
  limits: ArtifactLimits
  downloads: DownloadPolicy
  retention: Retention
  /** Signs the log's checkpoints. */
  signer: Signer
}

const INNER_HOST = '127.0.0.1'
/** Time for calls between the services that are still in flight at the end. */
const INNER_GRACE_MS = 1_000

export async function openStandalone(deps: StandaloneDeps): Promise<Service> {
  const { draining } = deps
  const port = await freePort()
  const { metadata, artifact, audit } = await openServices(deps, port)
  const one = { ...combine({ metadata, artifact, audit }), authenticate: metadata.authenticate }
  const logger = createLogger('inner', deps.logLevel)
  const inner = await serve({ ...one, logger, draining }, { host: INNER_HOST, port })
  return {
    ...one,
    async close() {
      // These services send their last events to audit.
      await Promise.all([artifact.close(), metadata.close()])
      await inner.close(INNER_GRACE_MS)
      await audit.close()
    },
  }
}

/** Opens the three services. They call each other at `port` of the inner host. */
async function openServices(deps: StandaloneDeps, port: number): Promise<Record<ServiceName, Service>> {
  const { databaseUrl: url, draining, limits } = deps
  const tokens = createTokens()
  const trustedServices = new Map(SERVICE_NAMES.map((name) => [hashToken(tokens[name]).toString('hex'), name]))
  const peer = (from: ServiceName, to: ServiceName) => ({
    name: to,
    address: `http://${INNER_HOST}:${port}`,
    token: tokens[from],
  })
  const common = (name: ServiceName) => ({ logger: createLogger(name, deps.logLevel), draining, trustedServices })
  // The store is prepared first, because the services send events to the inner address as soon as they open.
  const stores = { ...common('artifact'), database: openArtifact({ url }), bytes: new DirectoryStore(deps.objects) }
  await prepareStore(stores)
  const metadata = metadataService({
    ...common('metadata'),
    database: openMetadata({ url }),
    manifests: peerClient(ManifestService, peer('metadata', 'artifact')),
    ingest: peerClient(IngestService, peer('metadata', 'audit')),
  })
  const artifact = artifactService({
    ...stores,
    identity: peerClient(IdentityService, peer('artifact', 'metadata')),
    ingest: peerClient(IngestService, peer('artifact', 'audit')),
    limits,
    downloads: deps.downloads,
  })
  const audit = auditService({
    ...common('audit'),
    database: openAudit({ url }),
    identity: peerClient(IdentityService, peer('audit', 'metadata')),
    signer: deps.signer,
    retention: deps.retention,
  })
  return { metadata, artifact, audit }
}

/** The tokens are created at every start and never stored. */
function createTokens(): Record<ServiceName, string> {
  const token = (): string => `${SERVICE_TOKEN_PREFIX}${randomBytes(32).toString('base64url')}`
  return { metadata: token(), artifact: token(), audit: token() }
}

function combine(parts: Record<ServiceName, Service>): Omit<Service, 'authenticate' | 'close'> {
  const all = Object.values(parts)
  return {
    services: all.flatMap(({ services }) => services),
    routes: (router) => all.forEach(({ routes }) => routes(router)),
    recordRefusal(refusal) {
      const isOf = (part: Service) => part.services.some(({ typeName }) => refusal.method.startsWith(`${typeName}/`))
      const name = SERVICE_NAMES.find((candidate) => isOf(parts[candidate]))
      return name ? parts[name].recordRefusal(refusal) : Promise.resolve()
    },
    check: async (...request) => (await Promise.all(all.map(({ check }) => check(...request)))).every(Boolean),
    zeroCopyMethods: all.flatMap(({ zeroCopyMethods = [] }) => zeroCopyMethods),
    plain: (path, admit) => parts.audit.plain!(path, admit),
  }
}
