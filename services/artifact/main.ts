import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { peerClient } from '#lib/server/peers.ts'
import type { Environment } from '#lib/process/env.ts'
import { createLogger } from '#lib/process/log.ts'
import { runUntilSignal } from '#lib/server/service.ts'
import { readArtifactSettings, type StoreSettings } from './config.ts'
import { artifactService } from './service.ts'
import type { ByteStore } from './store/byte-store.ts'
import { prepareStore } from './store/installation.ts'
import { DirectoryStore } from './store/directory/directory-store.ts'
import { openStore } from './store/orm.ts'
import { S3Store } from './store/s3/s3-store.ts'

export async function runArtifact(environment: Environment): Promise<void> {
  const settings = readArtifactSettings(environment)
  const logger = createLogger('artifact', settings.logLevel)
  const draining = new AbortController()
  const bytes = openBytes(settings.store)
  const database = openStore(settings.database)
  await prepareStore({ database, bytes, logger })
  const token = settings.serviceToken
  const service = artifactService({
    database,
    bytes,
    logger,
    draining: draining.signal,
    trustedServices: settings.trustedServices,
    identity: peerClient(IdentityService, { name: 'metadata', address: settings.metadataAddress, token }),
    ingest: peerClient(IngestService, { name: 'audit', address: settings.auditAddress, token }),
    limits: settings.limits,
    transferModes: settings.transferModes,
    downloads: settings.downloads,
  })
  await runUntilSignal(service, { ...settings, name: 'artifact', logger, draining })
}

function openBytes(store: StoreSettings): ByteStore {
  return store.kind === 's3' ? new S3Store(store.s3) : new DirectoryStore(store.path)
}
