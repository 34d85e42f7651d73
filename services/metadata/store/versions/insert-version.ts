// Hot reads and writes of CreateVersion.
import type { JsonValue } from '@bufbuild/protobuf'
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import type { OutboxRow } from '#lib/store/outbox.ts'
import { prepare, runPrepared } from '#lib/store/prepared.ts'
import { query } from '#lib/store/query.ts'

export interface NewVersion {
  id: string
  modelId: string
  semver: string
  digest: string
  sizeBytes: bigint
  fileCount: number
  facts: JsonValue
  parameters: Record<string, JsonValue>
  metrics: { name: string; value: number }[]
  parents: string[]
  description: string
  labels: Record<string, string>
  modelCard: string
  messageBytes: number
  creator: string
  /** The event without the number and the name of the version, which the statement adds. */
  event: OutboxRow
}

export interface InsertedVersion {
  number: number
  namespace: string
  modelName: string
  createTime: string
}

/** Inserts all rows of a version in one statement and one round trip. The time is read after the row of the model is locked,
 * so that it increases with the number. */
const INSERT = prepare<InsertedVersion>(
  'insert-version',
  sql`with locked as (
      select id, namespace, name, last_number + 1 as number from model where id = $1 and state = 'ACTIVE' for update
    ), released as (
      delete from manifest_release as release using locked where release.version_id = $2 and release.attempts = 0
        returning clock_timestamp() as now
    ), counted as (
      update model set last_number = locked.number from locked, released where model.id = locked.id
    ), inserted as (
      insert into version (id, model_id, namespace, number, semver, digest, size_bytes, file_count, state, facts,
          parameters, description, labels, model_card, message_bytes, creator, create_time, update_time)
        select $2, locked.id, locked.namespace, locked.number, nullif($3, ''), $4, $5, $6, 'READY', $7, $8, $9, $10, $11,
          $12, $13, released.now, released.now
        from locked, released
        returning namespace, number, create_time
    ), measured as (
      insert into version_metric (version_id, model_id, ordinal, name, value, main)
        select $2, $1, ordinal, name, value, main
        from inserted, jsonb_to_recordset($14::jsonb) as metric (ordinal int, name text, value float8, main boolean)
    ), derived as (
      insert into version_parent (version_id, ordinal, parent_id)
        select $2, ordinal, parent::uuid
        from inserted, jsonb_array_elements_text($15::jsonb) with ordinality as listed (parent, ordinal)
    ), emitted as (
      insert into outbox (event_id, resource_id, event)
        select $16, $17, jsonb_set(
          jsonb_set($18::jsonb, '{resource,name}', to_jsonb(locked.namespace || '/' || locked.name || ':' || locked.number)),
          '{details,number}', to_jsonb(locked.number))
        from inserted, locked
    )
    select inserted.number, inserted.namespace, locked.name as "modelName", inserted.create_time as "createTime"
      from inserted, locked`,
)

/** Cancels the release of the manifest, and inserts the version with the next number of its model, its metrics, parents and
 * event. Returns undefined, and changes nothing, if the model is not active or the release has begun. */
export async function insertVersion(em: EntityManager, version: NewVersion): Promise<InsertedVersion | undefined> {
  const [inserted] = await runPrepared(em, INSERT, [
    version.modelId,
    version.id,
    version.semver,
    version.digest,
    version.sizeBytes,
    version.fileCount,
    JSON.stringify(version.facts),
    JSON.stringify(version.parameters),
    version.description,
    JSON.stringify(version.labels),
    version.modelCard,
    version.messageBytes,
    version.creator,
    JSON.stringify(metricRows(version.metrics)),
    JSON.stringify(version.parents),
    version.event.eventId,
    version.event.resourceId,
    JSON.stringify(version.event.event),
  ])
  return inserted
}

function metricRows(metrics: NewVersion['metrics']) {
  const known = new Set<string>()
  return metrics.map(({ name, value }, ordinal) => {
    const main = !known.has(name)
    known.add(name)
    return { ordinal, name, value, main }
  })
}

/** Returns a version of the model with the same bytes or the same semver. */
export async function findDuplicate(
  em: EntityManager,
  { modelId, digest, semver }: { modelId: string; digest: string; semver: string },
): Promise<{ id: string; number: number; digest: string } | undefined> {
  const [row] = await query<{ id: string; number: number; digest: string }>(
    em,
    sql`select id, number, digest from version where model_id = ${modelId} and (digest = ${digest} or semver = ${semver})
      order by digest = ${digest} desc limit 1`,
  )
  return row
}

/** Returns the namespaces of the given versions by id. */
export async function findNamespacesOfVersions(em: EntityManager, ids: string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map()
  const rows = await query<{ id: string; namespace: string }>(
    em,
    sql`select id, namespace from version where id = any(${ids}::uuid[])`,
  )
  return new Map(rows.map(({ id, namespace }) => [id, namespace]))
}
