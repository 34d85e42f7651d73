// Removes a model with its versions. The statements work on sets, because a model can have 100,000 versions.
import type { EntityManager } from '#lib/store/database.ts'
import type { Model } from './model.ts'

/** Locks the versions of the model, and returns the lowest number of which a version of another model is derived. */
export async function findForeignChild(em: EntityManager, modelId: string): Promise<number | undefined> {
  await em.execute('select count(*) from (select 1 from version where model_id = ? for update) as locked', [modelId])
  const [row] = await em.execute<{ number: number }[]>(
    `select parent.number from version parent
      join version_parent link on link.parent_id = parent.id
      join version child on child.id = link.version_id
      where parent.model_id = ? and child.model_id <> ? order by parent.number limit 1`,
    [modelId, modelId],
  )
  return row?.number
}

/** Removes the model with its versions, and schedules the release of their manifests. Returns the number of versions. */
export async function removeModel(em: EntityManager, model: Model, deleter: string): Promise<number> {
  const versions = await em.execute<unknown[]>(
    `insert into tombstone (id, type, namespace, name, model_id, number, digest, deleter)
      select id, 'version', namespace, ?, model_id, number, digest, ? from version where model_id = ? returning 1`,
    [model.name, deleter, model.id],
  )
  await em.execute(
    `insert into tombstone (id, type, namespace, name, model_id, number, digest, deleter)
      values (?, 'model', ?, ?, ?, ?, '', ?)`,
    [model.id, model.namespace, model.name, model.id, model.lastNumber, deleter],
  )
  await em.execute(
    `insert into manifest_release (version_id, namespace, digest, due_time)
      select id, namespace, digest, now() from version where model_id = ?`,
    [model.id],
  )
  await em.execute('delete from version_parent where version_id in (select id from version where model_id = ?)', [
    model.id,
  ])
  await em.execute('delete from version where model_id = ?', [model.id])
  await em.execute('delete from model where id = ?', [model.id])
  return versions.length
}
