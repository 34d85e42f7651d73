// The baseline reads or writes the same rows through bare `pg`, with as many connections as the service has.
import { randomUUID } from 'node:crypto'
import { Pool } from 'pg'
import { newDigest } from './registry.ts'
import { FACTS, METRICS, PARAMETERS } from './facts.ts'

/** The default size of a service's pool. */
const CONNECTIONS = 10

export interface Baseline {
  resolveAlias: (model: string, alias: string) => Promise<void>
  resolveNumber: (model: string, number: number) => Promise<void>
  resolveDigest: (model: string, digest: string) => Promise<void>
  list: (modelId: string, size: number) => Promise<void>
  create: (modelId: string) => Promise<void>
  setAlias: (modelId: string, number: number) => Promise<void>
  createManifest: () => Promise<void>
  close: () => Promise<void>
}

type Client = {
  query: (text: string, values?: unknown[]) => Promise<{ rows: unknown[] }>
}

const COLUMNS = `v.id, v.model_id, v.namespace, m.name as model_name, v.number, v.semver, v.digest, v.size_bytes,
  v.file_count, v.state, v.facts, v.creator, v.create_time, v.description, v.labels, v.model_card,
  (select coalesce(json_agg(a.name order by a.name), '[]') from alias a where a.version_id = v.id) as aliases,
  v.update_time, v.revision`

const ALIAS = `select ${COLUMNS} from model m join alias x on x.model_id = m.id and x.name = $3
    join version v on v.id = x.version_id where m.namespace = $1 and m.name_key = $2`
const NUMBER = `select ${COLUMNS} from model m join version v on v.model_id = m.id and v.number = $3
    where m.namespace = $1 and m.name_key = $2`
const DIGEST = NUMBER.replace('v.number = $3', 'v.digest = $3')
const LIST = `select ${COLUMNS} from version v join model m on m.id = v.model_id where v.model_id = $1
    order by v.number desc limit $2`
const insertOutbox = (schema: string): string =>
  `insert into ${schema}.outbox (event_id, resource_id, event) values ($1, $2, $3)`
const METADATA_OUTBOX = insertOutbox('metadata')
const ARTIFACT_OUTBOX = insertOutbox('artifact')
const NEXT_NUMBER = 'update model set last_number = last_number + 1 where id = $1 returning last_number'
const INSERT_VERSION = `insert into version (id, model_id, namespace, number, semver, digest, size_bytes, file_count, state, facts,
      parameters, description, labels, model_card, message_bytes, creator)
    values ($1, $2, 'default', $3, null, $4, 2345678, 3, 'READY', $5, $6, '', '{}', '', 2000, 'admin')`
const INSERT_METRICS = `insert into version_metric (version_id, model_id, ordinal, name, value, main)
    select $1, $2, ordinal, name, value, true
    from jsonb_to_recordset($3::jsonb) as metric (ordinal int, name text, value float8)`
const LOCK_MODEL = 'select * from model where id = $1 for update'
const MOVE_ALIAS = `insert into alias (id, model_id, name, number, version_id, mover, move_time, reason)
    select $1, $2, 'live', number, id, 'admin', now(), '' from version where model_id = $2 and number = $3
    on conflict (id) do update set number = excluded.number, version_id = excluded.version_id, move_time = now()
    returning version_id`
const RECORD_MOVE = `insert into alias_move (id, alias_id, model_id, name, from_number, to_number, version_id, mover, move_time,
      reason, forced) values ($1, $2, $3, 'live', 0, $4, $5, 'admin', now(), '', false)`
const INSERT_MANIFEST = `insert into artifact.manifest (namespace, digest, content, total_size_bytes, file_count)
    values ('default', $1, $2, 2345678, 3)`
const INSERT_BLOBS = `insert into artifact.manifest_blob (namespace, manifest_digest, blob_digest)
    select 'default', $1, unnest($2::text[])`
const EVENT = JSON.stringify({
  type: 'version.created.v1',
  actor: { principal: 'admin' },
  details: { text: 'x'.repeat(500) },
})

export function openBaseline(databaseUrl: string): Baseline {
  const pool = new Pool({ connectionString: databaseUrl, max: CONNECTIONS, options: '-c search_path=metadata' })
  // The statement of a broken connection fails, too.
  pool.on('error', () => {})
  const read = async (text: string, values: unknown[]): Promise<void> => {
    const { rows } = await pool.query(text, values)
    if (rows.length === 0) throw new Error(`the baseline found no row by ${text}`)
  }
  const transaction = async (work: (client: Client) => Promise<void>): Promise<void> => {
    const client = await pool.connect()
    try {
      await client.query('begin')
      await work(client)
      await client.query('commit')
    } finally {
      client.release()
    }
  }
  return {
    resolveAlias: (model, alias) => read(ALIAS, ['default', model, alias]),
    resolveNumber: (model, number) => read(NUMBER, ['default', model, number]),
    resolveDigest: (model, digest) => read(DIGEST, ['default', model, digest]),
    list: (modelId, size) => read(LIST, [modelId, size]),
    create: (modelId) =>
      transaction(async (client) => {
        const id = randomUUID()
        const { rows } = await client.query(NEXT_NUMBER, [modelId])
        const { last_number: number } = rows[0] as { last_number: number }
        const version = [id, modelId, number, newDigest(), FACTS, PARAMETERS]
        await client.query(INSERT_VERSION, version)
        await client.query(INSERT_METRICS, [id, modelId, METRICS])
        await client.query(METADATA_OUTBOX, [randomUUID(), id, EVENT])
      }),
    setAlias: (modelId, number) =>
      transaction(async (client) => {
        await client.query(LOCK_MODEL, [modelId])
        const { rows } = await client.query(MOVE_ALIAS, [modelId, modelId, number])
        const { version_id: version } = rows[0] as { version_id: string }
        await client.query(RECORD_MOVE, [randomUUID(), modelId, modelId, number, version])
        await client.query(METADATA_OUTBOX, [randomUUID(), modelId, EVENT])
      }),
    createManifest: () =>
      transaction(async (client) => {
        const digest = newDigest()
        await client.query(INSERT_MANIFEST, [digest, Buffer.alloc(600, 'x')])
        await client.query(INSERT_BLOBS, [digest, [newDigest(), newDigest()]])
        await client.query(ARTIFACT_OUTBOX, [randomUUID(), digest, EVENT])
      }),
    close: () => pool.end(),
  }
}
