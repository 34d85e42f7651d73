// The artifact service on a real socket with a real database, on a store of either kind.
import { createClient, type Client } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import type { DescService } from '@bufbuild/protobuf'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino, stdSerializers } from 'pino'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { peerClient } from '#lib/server/peers.ts'
import { createLogger } from '#lib/process/log.ts'
import { serve } from '#lib/server/serve.ts'
import type { DownloadPolicy } from '../../services/artifact/domain/download-policy.ts'
import type { AllowedModes } from '../../services/artifact/domain/transfer-modes.ts'
import { artifactService, type ArtifactLimits } from '../../services/artifact/service.ts'
import type { ByteBudget } from '../../services/artifact/domain/byte-budget.ts'
import type { ByteStore } from '../../services/artifact/store/byte-store.ts'
import { DirectoryStore } from '../../services/artifact/store/directory/directory-store.ts'
import { prepareStore } from '../../services/artifact/store/installation.ts'
import { openStore } from '../../services/artifact/store/orm.ts'
import { S3Store } from '../../services/artifact/store/s3/s3-store.ts'
import { createDatabase, runSql, type TestDatabase } from './database.ts'
import { startFakeIdentity } from './fake-identity.ts'
import { createBucket } from './minio.ts'
import { changed } from './store-spies.ts'

export const MIB = 1024 * 1024
export const CHUNK_BYTES = MIB - 64
export const METADATA_TOKEN = 'mks_metadata-0000000000000000000000000000000000000'

/** The byte store of a test. */
export interface TestStore {
  open(): ByteStore
  /** Keys of completed objects. */
  listObjects(): Promise<string[]>
  /** Returns those of the keys whose upload is neither completed nor aborted. */
  listUnfinished(keys: string[]): Promise<string[]>
  /** Replaces the bytes of an object without the service. */
  overwrite(key: string, bytes: Buffer): Promise<void>
  drop(): Promise<void>
}

export const STORES: [string, () => Promise<TestStore>][] = [
  ['S3', createS3Store],
  ['a directory', createDirectoryStore],
]

async function createS3Store(): Promise<TestStore> {
  const bucket = await createBucket()
  return {
    ...bucket,
    open: () => new S3Store(bucket.options),
    overwrite: async (key, bytes) => void (await bucket.client.putObject(bucket.options.bucket, key, bytes)),
  }
}

async function createDirectoryStore(): Promise<TestStore> {
  const root = await mkdtemp(join(tmpdir(), 'modelkeep-store-'))
  const list = async (folder: string): Promise<string[]> => {
    const found = await readdir(join(root, folder), { recursive: true, withFileTypes: true }).catch(() => [])
    return found.filter((entry) => entry.isFile()).map(({ name }) => name)
  }
  return {
    open: () => new DirectoryStore(root),
    listObjects: async () => (await list('objects')).map((name) => `objects/${name.slice(0, 2)}/${name}`),
    listUnfinished: async (keys) => {
      const names = await list('unfinished')
      return keys.filter((key) => names.includes(key.slice('objects/xx/'.length)))
    },
    overwrite: (key, bytes) => writeFile(join(root, key), bytes),
    drop: () => rm(root, { recursive: true, force: true }),
  }
}

export interface Replica {
  address: string
  /** Number of calls that the zero-copy handler has answered. */
  zeroCopyCalls(): number
  client<S extends DescService>(service: S, token?: string): Client<S>
  stop(): Promise<void>
}

export interface TestArtifact extends Replica {
  database: TestDatabase
  /** Starts one more replica on the same database and store. */
  addReplica(options?: ReplicaOptions): Promise<Replica>
  /** Runs one statement on the database; the service's schema is `artifact`. */
  sql<T extends object>(statement: string): Promise<T[]>
}

export interface ArtifactOptions extends ReplicaOptions {
  /** The default is a new database. */
  database?: TestDatabase
  /** The database URL of the service, if it differs from the test's, for example a proxy. */
  serviceDatabaseUrl?: string
}

export interface ReplicaOptions {
  limits?: Partial<ArtifactLimits>
  /** `general`: every call goes through the general adapter. */
  framing?: 'zero-copy' | 'general'
  bytes?: ByteStore
  budget?: ByteBudget
  transferModes?: AllowedModes
  downloads?: DownloadPolicy
  /** Called with every log line, at every level. */
  onLog?: (line: string) => void
}

const LIMITS: ArtifactLimits = {
  uploadMemoryBytes: 256 * MIB,
  streamIdleSeconds: 30,
  uploadExpireSeconds: 3600,
  uploadLimit: 1000,
  sweepEveryMs: 200,
}

/** Tokens: `alice`, `bob` and `bob2` (of bob) contribute to `default`, `reader` reads it, `carol` contributes to `other`, and
 * `root` administers all namespaces. */
export async function startArtifact(store: TestStore, options: ArtifactOptions = {}): Promise<TestArtifact> {
  const database = options.database ?? (await createDatabase())
  const peer = await startFakeIdentity({
    alice: { principal: 'alice', roles: { default: Role.CONTRIBUTOR, other: Role.READER } },
    bob: { principal: 'bob', roles: { default: Role.CONTRIBUTOR } },
    bob2: { principal: 'bob', roles: { default: Role.CONTRIBUTOR } },
    reader: { principal: 'reader', roles: { default: Role.READER } },
    carol: { principal: 'carol', roles: { other: Role.CONTRIBUTOR } },
    root: { principal: 'root', roles: { '*': Role.ADMIN } },
  })
  const addReplica = (replica: ReplicaOptions = {}) =>
    startReplica(options.serviceDatabaseUrl ?? database.url, peer.address, store, replica)
  const first = await addReplica(options)
  return {
    ...first,
    database,
    addReplica,
    sql: (statement) => runSql(database.url, statement) as never,
    async stop() {
      await first.stop()
      await peer.close()
      await database.drop()
      await store.drop()
    },
  }
}

/** Two replicas of the service over one open store. */
export async function startWithReplica(createStore: () => Promise<TestStore>) {
  const store = await createStore()
  const bytesOfStore = store.open()
  const artifact = await startArtifact(store, { bytes: bytesOfStore })
  // A directory belongs to one process, so both replicas share one store object.
  const replica = await artifact.addReplica({ bytes: changed(bytesOfStore, {}) })
  const stop = async (): Promise<void> => {
    await replica.stop()
    await artifact.stop()
  }
  return { store, bytesOfStore, artifact, replica, stop }
}

async function startReplica(
  databaseUrl: string,
  metadataAddress: string,
  store: TestStore,
  { limits, bytes, transferModes = 'any', downloads = 'manifests', framing, onLog, budget }: ReplicaOptions,
): Promise<Replica> {
  const logger = onLog
    ? createLogger('artifact', 'trace', { write: onLog })
    : pino({
        level: process.env['TEST_LOG_LEVEL'] ?? 'silent',
        serializers: { error: stdSerializers.errWithCause },
      })
  const draining = new AbortController()
  const peer = { token: 'mks_artifact' }
  const stores = { database: openStore({ url: databaseUrl }), bytes: bytes ?? store.open(), logger }
  await prepareStore(stores)
  const service = artifactService({
    ...stores,
    draining: draining.signal,
    trustedServices: new Map([[createHash('sha256').update(METADATA_TOKEN).digest('hex'), 'metadata']]),
    identity: peerClient(IdentityService, { ...peer, name: 'metadata', address: metadataAddress }),
    ingest: peerClient(IngestService, { ...peer, name: 'audit', address: metadataAddress }),
    limits: { ...LIMITS, ...limits },
    transferModes,
    downloads,
    budget,
  })
  const zeroCopyMethods = framing === 'general' ? [] : service.zeroCopyMethods!
  const serving = { ...service, zeroCopyMethods, logger, draining: draining.signal }
  const served = await serve(serving, { host: '127.0.0.1', port: 0 })
  const address = `http://127.0.0.1:${served.port}`
  return {
    address,
    zeroCopyCalls: () => served.zeroCopy.calls,
    client: (descriptor, token = 'alice') => createClient(descriptor, transportTo(address, token)),
    async stop() {
      draining.abort()
      await served.close(0)
      await service.close()
    },
  }
}

function transportTo(baseUrl: string, token: string) {
  return createGrpcTransport({
    baseUrl,
    acceptCompression: [],
    interceptors: [
      (next) => (request) => {
        request.header.set('authorization', `Bearer ${token}`)
        return next(request)
      },
    ],
  })
}
