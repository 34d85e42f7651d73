// The artifact service in a separate process. The zero-copy handler serves the byte methods, or, with `general`, the general
// adapter. The settings are those of the service. The process prints its port.
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { peerClient } from '#lib/server/peers.ts'
import { processEnvironment } from '#lib/process/env.ts'
import { createLogger } from '#lib/process/log.ts'
import { serve } from '#lib/server/serve.ts'
import { readArtifactSettings } from '../../services/artifact/config.ts'
import { artifactService } from '../../services/artifact/service.ts'
import { prepareStore } from '../../services/artifact/store/installation.ts'
import { openStore } from '../../services/artifact/store/orm.ts'
import { S3Store } from '../../services/artifact/store/s3/s3-store.ts'

const settings = readArtifactSettings(processEnvironment())
if (settings.store.kind !== 's3') throw new Error('the benchmark is of S3')
const logger = createLogger('artifact', settings.logLevel)
const draining = new AbortController().signal
const peer = { address: settings.metadataAddress, token: settings.serviceToken }
const database = openStore(settings.database)
const stores = { database, bytes: new S3Store(settings.store.s3), logger }
await prepareStore(stores)
const service = artifactService({
  ...stores,
  draining,
  trustedServices: settings.trustedServices,
  identity: peerClient(IdentityService, { name: 'metadata', ...peer }),
  ingest: peerClient(IngestService, { name: 'audit', ...peer }),
  limits: settings.limits,
  transferModes: settings.transferModes,
})
const zeroCopyMethods = process.argv[2] === 'general' ? [] : service.zeroCopyMethods!
const { port } = await serve({ ...service, zeroCopyMethods, logger, draining }, settings)
console.log(port)
process.once('SIGTERM', () => process.exit(0))
