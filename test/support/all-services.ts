// The real services on one port and one database, for the callers of `CALLERS`.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DescService } from '@bufbuild/protobuf'
import type { Client } from '@connectrpc/connect'
import { ManifestService } from '../../gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { IngestService } from '../../gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { IdentityService } from '../../gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { peerClient } from '../../services/lib/server/peers.ts'
import { serve } from '../../services/lib/server/serve.ts'
import type { Service } from '../../services/lib/server/service.ts'
import { readArtifactLimits } from '../../services/artifact/config.ts'
import { artifactService } from '../../services/artifact/service.ts'
import type { ByteStore } from '../../services/artifact/store/byte-store.ts'
import { DirectoryStore } from '../../services/artifact/store/directory/directory-store.ts'
import { requireStore } from '../../services/artifact/store/installation.ts'
import { openStore as openArtifact } from '../../services/artifact/store/orm.ts'
import { auditService } from '../../services/audit/service.ts'
import type { Signer } from '../../services/audit/signer.ts'
import { openStore as openAudit } from '../../services/audit/store/orm.ts'
import { EnvReader } from '../../services/lib/process/env.ts'
import { createAdminToken } from '../../services/metadata/admin-token.ts'
import { metadataService } from '../../services/metadata/service.ts'
import { openStore as openMetadata } from '../../services/metadata/store/orm.ts'
import { freePort } from '../../services/standalone/postgres.ts'
import { createDatabase } from './database.ts'
import { grpcClient, stubServing, type StubServing } from './serving.ts'

export interface AllServices {
  url: string
  address: string
  serving: StubServing
  client<S extends DescService>(service: S, token: string): Client<S>
  close(): Promise<void>
}

export interface AllServicesOptions {
  /** Where the artifact service stores its bytes; a directory by default. */
  bytes?: ByteStore
  /** Signs checkpoints. By default, nothing signs them. */
  signer?: Signer
}

export async function startAllServices({ bytes, signer }: AllServicesOptions = {}): Promise<AllServices> {
  const testDatabase = await createDatabase()
  const { url } = testDatabase
  const folder = await mkdtemp(join(tmpdir(), 'modelkeep-all-'))
  const port = await freePort()
  const address = `http://127.0.0.1:${port}`
  const peer = <S extends DescService>(service: S, name: string, caller: string) =>
    peerClient(service, { name, address, token: `mks_${caller}` })
  const serving = stubServing([], (router) => services.forEach(({ routes }) => routes(router)))
  const common = { logger: serving.logger, draining: serving.draining, trustedServices: new Map<string, string>() }
  const metadata = openMetadata({ url })
  await createAdminToken(metadata)
  const stores = { database: openArtifact({ url }), bytes: bytes ?? new DirectoryStore(folder) }
  await requireStore(stores)
  const services: Service[] = [
    metadataService({
      ...common,
      database: metadata,
      manifests: peer(ManifestService, 'artifact', 'metadata'),
      ingest: peer(IngestService, 'audit', 'metadata'),
    }),
    artifactService({
      ...common,
      ...stores,
      identity: peer(IdentityService, 'metadata', 'artifact'),
      ingest: peer(IngestService, 'audit', 'artifact'),
      limits: readArtifactLimits(new EnvReader({})),
      downloads: 'all',
    }),
    auditService({
      ...common,
      database: openAudit({ url }),
      identity: peer(IdentityService, 'metadata', 'audit'),
      signer,
    }),
  ]
  serving.services = services.flatMap((service) => service.services)
  serving.zeroCopyMethods = services.flatMap((service) => service.zeroCopyMethods ?? [])
  serving.recordRefusal = async (refusal) => {
    serving.refusals.push(refusal)
    const { method } = refusal
    const isOf = (service: Service) => service.services.some(({ typeName }) => method.startsWith(`${typeName}/`))
    await services.find(isOf)?.recordRefusal(refusal)
  }
  const served = await serve(serving, { host: '127.0.0.1', port })
  const clients = new Map<string, unknown>()
  return {
    url,
    address,
    serving,
    client<S extends DescService>(service: S, token: string): Client<S> {
      const key = `${service.typeName} ${token}`
      const client = clients.get(key) ?? grpcClient(service, port, token)
      clients.set(key, client)
      return client as Client<S>
    },
    async close() {
      serving.drain.abort()
      // The relays still send the last events to the log.
      for (const service of services) await service.close()
      await served.close(0)
      await testDatabase.drop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
