// Hot reads and writes of CreateVersion. The caller holds the lock of the model.
import type { JsonValue } from '@bufbuild/protobuf'
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'

export interface NewVersion {
  id: string
  modelId: string
  namespace: string
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

/** Inserts the version with the next number of its model. The time is read under the lock, so that it increases with the
 * number. */
export async function insertVersion(em: EntityManager, version: NewVersion): Promise<number> {
  const [model] = await query<{ last_number: number }>(
    em,
    sql`update model set last_number = last_number + 1 where id = ${version.modelId} returning last_number`,
  )
  const number = model!.last_number
  const { facts, parameters, labels } = version
  await query(
    em,
    sql`insert into version (id, model_id, namespace, number, semver, digest, size_bytes, file_count, state, facts,
        parameters, description, labels, model_card, message_bytes, creator, create_time, update_time)
      values (${version.id}, ${version.modelId}, ${version.namespace}, ${number}, nullif(${version.semver}, ''),
        ${version.digest}, ${version.sizeBytes}, ${version.fileCount}, 'READY', ${JSON.stringify(facts)},
        ${JSON.stringify(parameters)}, ${version.description}, ${JSON.stringify(labels)}, ${version.modelCard},
        ${version.messageBytes}, ${version.creator}, statement_timestamp(), statement_timestamp())`,
  )
  await insertMetrics(em, version)
  await insertParents(em, version)
  return number
}

async function insertMetrics(em: EntityManager, { id, modelId, metrics }: NewVersion): Promise<void> {
  if (metrics.length === 0) return
  const known = new Set<string>()
  const rows = metrics.map(({ name, value }, ordinal) => {
    const main = !known.has(name)
    known.add(name)
    return { ordinal, name, value, main }
  })
  await query(
    em,
    sql`insert into version_metric (version_id, model_id, ordinal, name, value, main)
      select ${id}::uuid, ${modelId}::uuid, ordinal, name, value, main
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
        as metric (ordinal int, name text, value float8, main boolean)`,
  )
}

async function insertParents(em: EntityManager, { id, parents }: NewVersion): Promise<void> {
  if (parents.length === 0) return
  await query(
    em,
    sql`insert into version_parent (version_id, ordinal, parent_id)
      select ${id}::uuid, ordinal, parent
      from unnest(${parents}::uuid[]) with ordinality as listed (parent, ordinal)`,
  )
}

/** Returns the namespaces of the given versions by id, and locks the versions against deletion. */
export async function findNamespacesOfVersions(em: EntityManager, ids: string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map()
  const rows = await query<{ id: string; namespace: string }>(
    em,
    sql`select id, namespace from version where id = any(${ids}::uuid[]) for key share`,
  )
  return new Map(rows.map(({ id, namespace }) => [id, namespace]))
}
