import { defineEntity, p } from '@mikro-orm/postgresql'
import type { EntityManager } from '#lib/store/database.ts'
import { createTimeColumn } from '#lib/store/time.ts'

const NamespaceSchema = defineEntity({
  name: 'Namespace',
  tableName: 'namespace',
  properties: {
    name: p.text().primary(),
    id: p.uuid(),
    description: p.text(),
    createTime: createTimeColumn(),
    updateTime: createTimeColumn(),
    revision: p.integer().default(1),
  },
  uniques: [{ name: 'namespace_id_unique', properties: ['id'] }],
})
export class Namespace extends NamespaceSchema.class {}
NamespaceSchema.setClass(Namespace)

export interface NamespaceRow {
  id: string
  name: string
  description: string
  create_time: string
  update_time: string
  revision: number
}

const COLUMNS = 'id, name, description, create_time, update_time, revision'

export async function findNamespace(em: EntityManager, name: string): Promise<NamespaceRow | undefined> {
  const [row] = await em.execute<NamespaceRow[]>(`select ${COLUMNS} from namespace where name = ?`, [name])
  return row
}

/** Undefined where there is none. Waits for models that are being registered in it. */
export async function lockNamespace(em: EntityManager, name: string): Promise<NamespaceRow | undefined> {
  const [row] = await em.execute<NamespaceRow[]>(`select ${COLUMNS} from namespace where name = ? for update`, [name])
  return row
}

/** Undefined where the name is taken. */
export async function insertNamespace(
  em: EntityManager,
  values: { id: string; name: string; description: string },
): Promise<NamespaceRow | undefined> {
  const [row] = await em.execute<NamespaceRow[]>(
    `insert into namespace (id, name, description) values (?, ?, ?) on conflict (name) do nothing returning ${COLUMNS}`,
    [values.id, values.name, values.description],
  )
  return row
}

export async function describeNamespace(em: EntityManager, name: string, description: string): Promise<NamespaceRow> {
  const [row] = await em.execute<NamespaceRow[]>(
    `update namespace set description = ?, update_time = now(), revision = revision + 1 where name = ?
      returning ${COLUMNS}`,
    [description, name],
  )
  return row!
}

export async function holdsModels(em: EntityManager, name: string): Promise<boolean> {
  const rows = await em.execute<unknown[]>('select 1 from model where namespace = ? limit 1', [name])
  return rows.length > 0
}

export async function removeNamespace(em: EntityManager, name: string): Promise<void> {
  await em.execute('delete from namespace where name = ?', [name])
}

/** By name, those after `after`. */
export async function listNamespaces(
  em: EntityManager,
  names: 'all' | string[],
  page: { after: string | undefined; limit: number },
): Promise<NamespaceRow[]> {
  const conditions = ['name > ?']
  const values: unknown[] = [page.after ?? '']
  if (names !== 'all') {
    conditions.push('name in (select jsonb_array_elements_text(?::jsonb))')
    values.push(JSON.stringify(names))
  }
  return em.execute<NamespaceRow[]>(
    `select ${COLUMNS} from namespace where ${conditions.join(' and ')} order by name limit ?`,
    [...values, page.limit],
  )
}

/** Returns those that were there. */
export async function removeRolesOn(
  em: EntityManager,
  namespace: string,
): Promise<{ id: string; principal: string; namespace: string; role: string }[]> {
  return em.execute('delete from role_binding where namespace = ? returning id, principal, namespace, role', [
    namespace,
  ])
}
