// Changes of versions. The caller has the model's lock.
import type { JsonValue } from '@bufbuild/protobuf'
import type { EntityManager } from '#lib/store/database.ts'
import type { VersionRow } from './version-rows.ts'

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

/** A version of the model with the same bytes or the same semver. */
export async function findTwin(
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

/** Gives the model's next number. Time is taken under the lock, so that it follows the numbers. */
export async function insertVersion(em: EntityManager, version: NewVersion): Promise<number> {
  const [counted] = await em.execute<{ last_number: number }[]>(
    'update model set last_number = last_number + 1 where id = ? returning last_number',
    [version.modelId],
  )
  const number = counted!.last_number
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

export async function updateVersion(
  em: EntityManager,
  id: string,
  values: Pick<VersionRow, 'description' | 'labels' | 'model_card'>,
  grownBytes: number,
): Promise<void> {
  await em.execute(
    `update version set description = ?, labels = ?, model_card = ?, message_bytes = message_bytes + ?,
      update_time = now(), revision = revision + 1 where id = ?`,
    [values.description, JSON.stringify(values.labels), values.model_card, grownBytes, id],
  )
}

export interface VersionUse {
  aliases: string[]
  children: number
}

/** What keeps a version from being deleted. Waits for children that are just being created. */
export async function findUse(em: EntityManager, id: string): Promise<VersionUse> {
  await em.execute('select 1 from version where id = ? for update', [id])
  const [row] = await em.execute<{ aliases: string[]; children: string }[]>(
    `select (select coalesce(json_agg(name order by name), '[]') from alias where version_id = ?) as aliases,
      (select count(distinct version_id) from version_parent where parent_id = ?) as children`,
    [id, id],
  )
  return { aliases: row!.aliases, children: Number(row!.children) }
}

/** Lets its manifest go. */
export async function removeVersion(em: EntityManager, version: VersionRow, deleter: string): Promise<void> {
  await em.execute(
    `insert into tombstone (id, type, namespace, name, model_id, number, digest, deleter)
      values (?, 'version', ?, ?, ?, ?, ?, ?)`,
    [version.id, version.namespace, version.model, version.model_id, version.number, version.digest, deleter],
  )
  await em.execute('insert into manifest_release (version_id, namespace, digest, due_time) values (?, ?, ?, now())', [
    version.id,
    version.namespace,
    version.digest,
  ])
  await em.execute('delete from version where id = ?', [version.id])
}
