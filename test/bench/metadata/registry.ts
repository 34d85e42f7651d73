// A metadata service under load, with its own PostgreSQL and socket, and a fake peer that has every manifest.
import { createClient } from '@connectrpc/connect'
import { connectNodeAdapter, createGrpcTransport } from '@connectrpc/connect-node'
import { randomBytes, randomUUID } from 'node:crypto'
import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { AliasService } from '#gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { VersionService } from '#gen/modelkeep/metadata/v1/version_service_pb.ts'
import { peerClient } from '#lib/server/peers.ts'
import { createLogger } from '#lib/process/log.ts'
import { serve } from '#lib/server/serve.ts'
import { createAdminToken } from '../../../services/metadata/admin-token.ts'
import { metadataService } from '../../../services/metadata/service.ts'
import { openOwnedStore, openStore } from '../../../services/metadata/store/orm.ts'
import { migrate } from '../../../services/migrate.ts'
import { startPostgres } from '../../../services/standalone/postgres.ts'

type Selector = { case: 'number'; value: number } | { case: 'alias'; value: string }

export interface Registry {
  url: string
  asOwner: (statement: string) => Promise<unknown>
  /** The number of versions by model. */
  counts: Record<string, number>
  /** Creates a model with `count` versions, and points the alias `production` at the middle one. */
  fill: (model: string, count: number) => Promise<void>
  create: (model: string) => Promise<unknown>
  resolve: (model: string, selector: Selector) => Promise<unknown>
  list: (model: string, orderBy: string, pageToken: string, pageSize: number) => Promise<unknown>
  /** Returns the token of the page after the first `skipped` versions. */
  tokenAt: (model: string, orderBy: string, skipped: number) => Promise<string>
  close: () => Promise<void>
}

export async function openRegistry(directory: string): Promise<Registry> {
  const postgres = await startPostgres({ directory })
  const url = postgres.url('postgres')
  await migrate('metadata', url)
  const peer = await startFakePeer()
  const service = await startService(url, peer.address)
  const counts: Record<string, number> = {}
  const { models, versions, aliases } = service
  const named = (model: string) => ({ ref: { case: 'name' as const, value: { model } } })
  const list = (model: string, orderBy: string, pageToken: string, pageSize: number) =>
    versions.listVersions({ model: named(model), orderBy, pageToken, pageSize })
  const owned = openOwnedStore({ url })
  return {
    url,
    asOwner: (statement) => owned.em.fork().execute(statement),
    counts,
    async fill(name, count) {
      const { model } = await models.createModel({ name })
      await insertVersions(url, model!.id, count)
      counts[name] = count
      const target = { name: 'production', target: { case: 'number' as const, value: Math.floor(count / 2) } }
      await aliases.setAliases({ model: named(name), targets: [target] })
    },
    create: (model) =>
      versions.createVersion({
        model: named(model),
        manifestDigest: newDigest(),
        facts: newFacts(),
        requestId: randomUUID(),
      }),
    resolve: (model, selector) =>
      versions.resolveVersion({ ref: { ref: { case: 'name', value: { model, selector } } } }),
    list,
    async tokenAt(model, orderBy, skipped) {
      let token = ''
      for (let seen = 0; seen < skipped;) {
        const page = await list(model, orderBy, token, Math.min(1000, skipped - seen))
        seen += page.versions.length
        token = page.nextPageToken
      }
      return token
    },
    async close() {
      await owned.close(true)
      await service.close()
      await peer.close()
      await postgres.stop()
    },
  }
}

export async function startFakePeer() {
  const handler = connectNodeAdapter({
    routes(router) {
      router.service(ManifestService, { retainManifest: () => ({ totalSizeBytes: 2_345_678n, fileCount: 3 }) })
      router.service(IngestService, { appendEvents: () => ({ indexes: [] }) })
    },
  })
  const server = createServer(handler)
  const sessions = new Set<{ destroy(): void }>()
  server.on('session', (session) => sessions.add(session))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      for (const session of sessions) session.destroy()
    })
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}

async function startService(url: string, peerAddress: string) {
  const database = openStore({ url })
  const logger = createLogger('metadata', 'silent')
  const draining = new AbortController()
  const peer = { address: peerAddress, token: `mks_${'s'.repeat(43)}` }
  const service = metadataService({
    database,
    logger,
    draining: draining.signal,
    trustedServices: new Map(),
    manifests: peerClient(ManifestService, { name: 'artifact', ...peer }),
    ingest: peerClient(IngestService, { name: 'audit', ...peer }),
  })
  const served = await serve({ ...service, logger, draining: draining.signal }, { host: '127.0.0.1', port: 0 })
  const token = await createAdminToken(database)
  const transport = createGrpcTransport({
    baseUrl: `http://127.0.0.1:${served.port}`,
    interceptors: [
      (next) => (request) => {
        request.header.set('authorization', `Bearer ${token}`)
        return next(request)
      },
    ],
  })
  return {
    models: createClient(ModelService, transport),
    versions: createClient(VersionService, transport),
    aliases: createClient(AliasService, transport),
    async close() {
      draining.abort()
      await served.close(500)
      await service.close()
    },
  }
}

/** Inserts the rows that the service would insert, but without the triggers that require events. */
export async function insertVersions(url: string, modelId: string, count: number): Promise<void> {
  const store = openOwnedStore({ url })
  const facts = `jsonb_build_object(
    'source', jsonb_build_object('repository', 'https://git.example/scorer', 'commit', md5(n::text)),
    'parameters', jsonb_build_array(jsonb_build_object('name', 'depth', 'value', n % 12)),
    'metrics', jsonb_build_array(
      jsonb_build_object('name', 'f1', 'value', f1), jsonb_build_object('name', 'auc', 'value', 1 - f1)),
    'license', 'Apache-2.0')`
  try {
    await store.em.fork().transactional(async (em) => {
      await em.execute('set local session_replication_role = replica')
      await em.execute(
        `insert into version (id, model_id, namespace, number, semver, digest, size_bytes, file_count, state, facts,
            parameters, description, labels, model_card, message_bytes, creator, create_time, update_time)
          select gen_random_uuid(), ?, 'default', n, null, 'sha256:' || md5(n::text) || md5((-n)::text), 2345678, 3,
            'READY', ${facts}, jsonb_build_object('depth', n % 12), 'a version', '{"team": "core"}', '# Card', 600,
            'admin', now() - make_interval(secs => ? - n), now()
          from (select n, (n * 7919 % 100003) / 100003.0::float8 as f1 from generate_series(1, ?) as n) as made`,
        [modelId, count, count],
      )
      await em.execute(
        `insert into version_metric (version_id, ordinal, model_id, name, value, main)
          select v.id, m.ordinal - 1, v.model_id, m.metric ->> 'name', (m.metric ->> 'value')::float8, true
          from version v, jsonb_array_elements(v.facts -> 'metrics') with ordinality as m (metric, ordinal)
          where v.model_id = ?`,
        [modelId],
      )
      await em.execute('update model set last_number = ? where id = ?', [count, modelId])
    })
    await store.em.fork().execute('vacuum analyze')
  } finally {
    await store.close(true)
  }
}

export function newDigest(): string {
  return `sha256:${randomBytes(32).toString('hex')}`
}

function newFacts() {
  return {
    source: { repository: 'https://git.example/scorer', commit: randomBytes(20).toString('hex') },
    parameters: [{ name: 'depth', value: { kind: { case: 'numberValue' as const, value: 7 } } }],
    metrics: [
      { name: 'f1', value: Math.random() },
      { name: 'auc', value: Math.random() },
    ],
    license: 'Apache-2.0',
  }
}
