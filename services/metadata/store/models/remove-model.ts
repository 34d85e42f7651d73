// Removes a model with its versions. Statements on versions work on sets, because a model can have 100,000 of them.
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import { Version } from '../versions/version.ts'
import type { Model } from './model.ts'
import { Tombstone } from './tombstone.ts'

/** Locks the versions of the model, and returns the lowest number of which a version of another model is derived. */
export async function findForeignChild(em: EntityManager, modelId: string): Promise<number | undefined> {
  await query(em, sql`select count(*) from (select 1 from version where model_id = ${modelId} for update) as locked`)
  const [row] = await query<{ number: number }>(
    em,
    sql`select parent.number from version parent
      join version_parent link on link.parent_id = parent.id
      join version child on child.id = link.version_id
      where parent.model_id = ${modelId} and child.model_id <> ${modelId} order by parent.number limit 1`,
  )
  return row?.number
}

/** Removes the model with its versions, and schedules the release of their manifests. Returns the number of versions. */
export async function removeModel(em: EntityManager, model: Model, deleter: string): Promise<number> {
  const { id, namespace, name, lastNumber: number } = model
  await query(
    em,
    sql`insert into tombstone (id, type, namespace, name, model_id, number, digest, deleter)
      select id, 'version', namespace, ${name}::text, model_id, number, digest, ${deleter}::text
      from version where model_id = ${id}`,
  )
  await query(
    em,
    sql`insert into manifest_release (version_id, namespace, digest, due_time)
      select id, namespace, digest, now() from version where model_id = ${id}`,
  )
  await query(em, sql`delete from version_parent where version_id in (select id from version where model_id = ${id})`)
  const versions = await em.nativeDelete(Version, { model: id })
  em.create(Tombstone, { id, type: 'model', namespace, name, modelId: id, number, digest: '', deleter })
  em.remove(model)
  await em.flush()
  return versions
}
