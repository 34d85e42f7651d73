import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { peerClient } from '#lib/server/peers.ts'
import type { Environment } from '#lib/process/env.ts'
import { createLogger } from '#lib/process/log.ts'
import { runUntilSignal } from '#lib/server/service.ts'
import { readMetadataSettings } from './config.ts'
import { metadataService } from './service.ts'
import { openStore } from './store/orm.ts'

export async function runMetadata(environment: Environment): Promise<void> {
  const settings = readMetadataSettings(environment)
  const logger = createLogger('metadata', settings.logLevel)
  const draining = new AbortController()
  const token = settings.serviceToken
  const service = metadataService({
    database: openStore(settings.database),
    logger,
    draining: draining.signal,
    trustedServices: settings.trustedServices,
    manifests: peerClient(ManifestService, { name: 'artifact', address: settings.artifactAddress, token }),
    ingest: peerClient(IngestService, { name: 'audit', address: settings.auditAddress, token }),
    failClosedSeconds: settings.failClosedSeconds,
  })
  await runUntilSignal(service, { ...settings, name: 'metadata', logger, draining })
}
