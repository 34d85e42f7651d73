// Hot reads and writes of CreateVersion. The caller holds the lock of the model.
import type { JsonValue } from '@bufbuild/protobuf'
import type { EntityManager } from '#lib/store/database.ts'

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
  const [row] = await em.execute<{ id: string; number: number; digest: string }[]>(
    `select id, number, digest from version where model_id = ? and (digest = ? or semver = ?)
      order by digest = ? desc limit 1`,
    [modelId, digest, semver, digest],
  )
  return row
}

/** Inserts the version with the next number of its model. The time is read under the lock, so that it increases with the
 * number. */
export async function insertVersion(em: EntityManager, version: NewVersion): Promise<number> {
  const [model] = await em.execute<{ last_number: number }[]>(
    'update model set last_number = last_number + 1 where id = ? returning last_number',
    [version.modelId],
  )
  const number = model!.last_number
  await em.execute(
    `insert into version (id, model_id, namespace, number, semver, digest, size_bytes, file_count, state, facts,
        parameters, description, labels, model_card, message_bytes, creator, create_time, update_time)
      select ?, ?, ?, ?, nullif(?, ''), ?, ?, ?, 'READY', ?, ?, ?, ?, ?, ?, ?, now, now
      from (select clock_timestamp() as now) as clock`,
    [
      version.id,
      version.modelId,
      version.namespace,
      number,
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
    ],
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
  await em.execute(
    `insert into version_metric (version_id, model_id, ordinal, name, value, main)
      select ?, ?, ordinal, name, value, main
      from jsonb_to_recordset(?::jsonb) as metric (ordinal int, name text, value float8, main boolean)`,
    [id, modelId, JSON.stringify(rows)],
  )
}

async function insertParents(em: EntityManager, { id, parents }: NewVersion): Promise<void> {
  if (parents.length === 0) return
  await em.execute(
    `insert into version_parent (version_id, ordinal, parent_id)
      select ?, ordinal, parent::uuid
      from jsonb_array_elements_text(?::jsonb) with ordinality as listed (parent, ordinal)`,
    [id, JSON.stringify(parents)],
  )
}

/** Returns the namespaces of the given versions by id, and locks the versions against deletion. */
export async function findNamespacesOfVersions(em: EntityManager, ids: string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map()
  const rows = await em.execute<{ id: string; namespace: string }[]>(
    'select id, namespace from version where id in (select jsonb_array_elements_text(?::jsonb)::uuid) for key share',
    [JSON.stringify(ids)],
  )
  return new Map(rows.map(({ id, namespace }) => [id, namespace]))
}
