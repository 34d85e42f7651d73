// The metadata service on a real database, with the real gate and interceptors, called in memory.
import type { DescMethodUnary, DescService, Message } from '@bufbuild/protobuf'
import { createClient, createRouterTransport, type Client } from '@connectrpc/connect'
import { randomBytes } from 'node:crypto'
import { pino } from 'pino'
import { afterAll, expect } from 'vitest'
import { Health } from '#gen/health/v1/health_pb.ts'
import { AliasService } from '#gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { EvaluationService } from '#gen/modelkeep/metadata/v1/evaluation_service_pb.ts'
import { GateService } from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { NamespaceService } from '#gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { PromotionService } from '#gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { VersionService } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { adapterOptions } from '#lib/server/serve.ts'
import type { Service } from '#lib/server/service.ts'
import type { StoreOptions } from '#lib/store/database.ts'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { createAdminToken } from '../../services/metadata/admin-token.ts'
import { metadataService } from '../../services/metadata/service.ts'
import { openStore } from '../../services/metadata/store/orm.ts'
import { createDatabase, runSql } from './database.ts'
import { startFakePeers, type FakePeers } from './fake-peers.ts'

export interface Clients {
  namespaces: Client<typeof NamespaceService>
  models: Client<typeof ModelService>
  versions: Client<typeof VersionService>
  aliases: Client<typeof AliasService>
  evaluations: Client<typeof EvaluationService>
  gates: Client<typeof GateService>
  promotions: Client<typeof PromotionService>
  identity: Client<typeof IdentityService>
  health: Client<typeof Health>
  /** Any RPC, for tests that take them from the descriptors. */
  call(method: DescMethodUnary, request: Message): Promise<Message>
}

export interface OutboxEvent {
  type: string
  reason?: string
  outcome: string
  actor: { principal: string; method: string }
  resource: { type: string; id: string; namespace?: string; name: string; digest?: string }
  beforeDigest?: string
  afterDigest?: string
  details?: Record<string, unknown>
}

export interface Metadata {
  url: string
  peers: FakePeers
  admin: Clients
  adminToken: string
  /** Clients of a second replica on the same database. */
  replica: Clients
  /** Clients of a new principal with these roles. */
  member(roles: Record<string, keyof typeof Role>): Promise<Clients & { principal: string }>
  /** The events that `work` adds to the outbox, except failed attempts: their repeats are recorded up to a minute later. */
  eventsOf(work: () => Promise<unknown>): Promise<OutboxEvent[]>
  sql<Row extends object>(statement: string): Promise<Row[]>
  logs: string[]
}

/** Starts two replicas for a test file, and closes them after its last test. */
export async function startMetadata({
  failClosedSeconds = 0,
  store = {},
}: { failClosedSeconds?: number; store?: Omit<StoreOptions, 'url'> } = {}): Promise<Metadata> {
  const database = await createDatabase()
  const peers = await startFakePeers()
  const logs: string[] = []
  const services = [1, 2].map(() => openService({ url: database.url, ...store }, peers, logs, failClosedSeconds))
  const [first, second] = services as [Running, Running]
  const adminToken = await createAdminToken(first.database)
  const admin = first.as(adminToken)
  const sql = async <Row extends object>(statement: string): Promise<Row[]> =>
    (await runSql(database.url, statement)) as Row[]
  const events = async () =>
    sql<{ sequence: string; event: OutboxEvent }>(`select sequence, event from metadata.outbox
      where event ->> 'type' <> 'attempt.failed.v1' order by sequence`)
  afterAll(async () => {
    for (const { service } of services) await service.close()
    await peers.close()
    await database.drop()
  })
  let members = 0
  return {
    url: database.url,
    peers,
    admin,
    adminToken,
    replica: second.as(adminToken),
    async member(roles) {
      const principal = `member-${(members += 1)}`
      for (const [namespace, role] of Object.entries(roles)) {
        await admin.identity.grantRole({ principal, namespace, role: Role[role] })
      }
      const { secret } = await admin.identity.createToken({
        principal,
        expireTime: timestampFromMs(Date.now() + 3_600_000),
      })
      return { principal, ...first.as(secret) }
    },
    async eventsOf(work) {
      const before = (await events()).length
      await work()
      return (await events()).slice(before).map(({ event }) => event)
    },
    sql,
    logs,
  }
}

interface Running {
  service: Service
  database: ReturnType<typeof openStore>
  as(token: string): Clients
}

function openService(store: StoreOptions, peers: FakePeers, logs: string[], failClosedSeconds: number): Running {
  const database = openStore(store)
  const logger = pino({}, { write: (line: string) => void logs.push(line) })
  const draining = new AbortController().signal
  const deps = {
    database,
    logger,
    draining,
    trustedServices: new Map<string, string>(),
    failClosedSeconds,
    ...peers.clients(),
  }
  const service = metadataService(deps)
  const { options } = adapterOptions({ ...service, logger, draining })
  return {
    service,
    database,
    as(token) {
      const transport = createRouterTransport(options.routes, {
        router: options,
        transport: {
          interceptors: [
            (next) => (request) => {
              request.header.set('authorization', `Bearer ${token}`)
              return next(request)
            },
          ],
        },
      })
      const client = <S extends DescService>(desc: S): Client<S> => createClient(desc, transport)
      return {
        namespaces: client(NamespaceService),
        models: client(ModelService),
        versions: client(VersionService),
        aliases: client(AliasService),
        evaluations: client(EvaluationService),
        gates: client(GateService),
        promotions: client(PromotionService),
        identity: client(IdentityService),
        health: client(Health),
        async call(method, request) {
          return (await transport.unary(method, undefined, undefined, undefined, request)).message
        },
      }
    },
  }
}

/** A digest that no other test uses. */
export function newDigest(): string {
  return `sha256:${randomBytes(32).toString('hex')}`
}

export function byName(
  model: string,
  namespace = '',
): { ref: { case: 'name'; value: { namespace: string; model: string } } } {
  return { ref: { case: 'name', value: { namespace, model } } }
}

export function byId(id: string): { ref: { case: 'id'; value: string } } {
  return { ref: { case: 'id', value: id } }
}

export function numbered(model: string, number: number, namespace = '') {
  return { ref: { case: 'name' as const, value: { namespace, model, number } } }
}

type Selector = { case: 'number'; value: number } | { case: 'alias' | 'semver' | 'digest'; value: string }

export function selected(model: string, selector: Selector, namespace = '') {
  return { ref: { case: 'name' as const, value: { namespace, model, selector } } }
}

let names = 0
/** A name that no other test of the file uses. */
export function newName(prefix = 'model'): string {
  return `${prefix}-${(names += 1)}`
}

/** The target of an alias move to a version. */
export function pointTo(name: string, number: number, expectedNumber = 0) {
  return { name, target: { case: 'number' as const, value: number }, expectedNumber }
}

/** The target that removes an alias. */
export function removalOf(name: string, expectedNumber: number) {
  return { name, target: { case: 'remove' as const, value: true }, expectedNumber }
}

/** Creates an empty namespace, and returns its name. */
export async function makeNamespace(clients: Clients): Promise<string> {
  const name = newName('room')
  await clients.namespaces.createNamespace({ name })
  return name
}

/** Creates a model with `count` versions, and returns the versions' digests. */
export async function makeModel(clients: Clients, name: string, count = 0, namespace = ''): Promise<string[]> {
  await clients.models.createModel({ name, namespace })
  const digests = Array.from({ length: count }, newDigest)
  for (const [index, manifestDigest] of digests.entries()) {
    const { version } = await clients.versions.createVersion({ model: byName(name, namespace), manifestDigest })
    expect(version!.number).toBe(index + 1)
  }
  return digests
}
