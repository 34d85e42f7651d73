// Changes of models. The caller has the model's lock, except to insert one.
import type { EntityManager } from '#lib/store/database.ts'
import { violatedConstraint } from '#lib/store/faults.ts'
import { nameKey } from '../../domain/names.ts'
import type { ModelRow } from './model-rows.ts'

export interface NewModel {
  id: string
  namespace: string
  name: string
  description: string
  owner: string
  labels: Record<string, string>
  creator: string
}

/** False where the name is taken. */
export async function insertModel(em: EntityManager, model: NewModel): Promise<boolean> {
  const key = nameKey(model.name)
  const rows = await em.execute<unknown[]>(
    `insert into model (id, namespace, name, name_key, description, owner, labels, state, creator)
      values (?, ?, ?, ?, ?, ?, ?, 'ACTIVE', ?) on conflict (namespace, name_key) do nothing returning 1`,
    [
      model.id,
      model.namespace,
      model.name,
      key,
      model.description,
      model.owner,
      JSON.stringify(model.labels),
      model.creator,
    ],
  )
  if (rows.length === 0) return false
  await forgetRedirect(em, model.namespace, key)
  return true
}

export async function updateModel(
  em: EntityManager,
  id: string,
  values: Pick<ModelRow, 'description' | 'owner' | 'labels' | 'state'>,
): Promise<void> {
  await em.execute(
    `update model set description = ?, owner = ?, labels = ?, state = ?, update_time = now(), revision = revision + 1
      where id = ?`,
    [values.description, values.owner, JSON.stringify(values.labels), values.state, id],
  )
}

/** False where the name is taken; the transaction is of no more use then. */
export async function renameModel(em: EntityManager, model: ModelRow, name: string): Promise<boolean> {
  const [former, next] = [nameKey(model.name), nameKey(name)]
  const renamed = await em
    .execute('update model set name = ?, name_key = ?, update_time = now(), revision = revision + 1 where id = ?', [
      name,
      next,
      model.id,
    ])
    .then(() => true, isNameTaken)
  if (!renamed) return false
  if (former === next) return true
  await forgetRedirect(em, model.namespace, next)
  await em.execute(
    `insert into model_redirect (namespace, name_key, model_id) values (?, ?, ?)
      on conflict (namespace, name_key) do update set model_id = excluded.model_id`,
    [model.namespace, former, model.id],
  )
  return true
}

function isNameTaken(error: unknown): false {
  if (violatedConstraint(error) === 'model_namespace_name_key_unique') return false
  throw error
}

async function forgetRedirect(em: EntityManager, namespace: string, key: string): Promise<void> {
  await em.execute('delete from model_redirect where namespace = ? and name_key = ?', [namespace, key])
}

/** The lowest number with a child elsewhere; undefined when there is none. */
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

/** With all its versions, whose manifests are let go. Returns how many there were. */
export async function removeModel(em: EntityManager, model: ModelRow, deleter: string): Promise<number> {
  const versions = await em.execute<unknown[]>(
    `insert into tombstone (id, type, namespace, name, model_id, number, digest, deleter)
      select id, 'version', namespace, ?, model_id, number, digest, ? from version where model_id = ? returning 1`,
    [model.name, deleter, model.id],
  )
  await em.execute(
    `insert into tombstone (id, type, namespace, name, model_id, number, digest, deleter)
      values (?, 'model', ?, ?, ?, ?, '', ?)`,
    [model.id, model.namespace, model.name, model.id, model.last_number, deleter],
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
