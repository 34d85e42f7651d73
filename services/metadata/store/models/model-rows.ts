// Reading models, and locking them: every change below a model takes its row's lock first.
import { sql } from 'kysely'
import type { Filter } from '#lib/lists/filter.ts'
import type { Page } from '#lib/lists/pages.ts'
import type { EntityManager } from '#lib/store/database.ts'
import {
  labelsField,
  mentions,
  textField,
  timeField,
  toCondition,
  wordField,
  type FilterFields,
} from '#lib/store/filter.ts'
import { nameKey } from '../../domain/names.ts'
import type { ModelOrder } from '../../domain/orders.ts'
import type { ModelKey } from '../../domain/refs.ts'
import { shortened, withinBudget } from '../budget.ts'

export interface ModelRow {
  id: string
  namespace: string
  name: string
  description: string
  owner: string
  labels: Record<string, string>
  state: 'ACTIVE' | 'ARCHIVED'
  last_number: number
  aliases: { name: string; number: number }[]
  creator: string
  create_time: string
  update_time: string
  revision: number
}

const COLUMNS = `m.id, m.namespace, m.name, m.description, m.owner, m.labels, m.state, m.last_number, m.creator,
  m.create_time, m.update_time, m.revision,
  (select coalesce(json_agg(json_build_object('name', a.name, 'number', a.number) order by a.name), '[]')
    from alias a where a.model_id = m.id) as aliases`

export async function findModel(em: EntityManager, key: ModelKey): Promise<ModelRow | undefined> {
  return findByKey(em, key, `select ${COLUMNS} from model m`, '')
}

/** The model under its row's lock, as it is once the lock is held. */
export async function lockModel(em: EntityManager, key: ModelKey): Promise<ModelRow | undefined> {
  const locked = await findByKey<{ id: string }>(em, key, 'select m.id from model m', 'for update')
  return locked && findModel(em, { id: locked.id })
}

/** By the present name first; a former name costs another look. */
async function findByKey<Row extends object = ModelRow>(
  em: EntityManager,
  key: ModelKey,
  select: string,
  lock: string,
): Promise<Row | undefined> {
  if ('id' in key) {
    const [row] = await em.execute<Row[]>(`${select} where m.id = ? ${lock}`, [key.id])
    return row
  }
  const [row] = await em.execute<Row[]>(`${select} where m.namespace = ? and m.name_key = ? ${lock}`, [
    key.namespace,
    nameKey(key.model),
  ])
  if (row) return row
  const id = await findRedirect(em, key)
  return id === undefined ? undefined : findByKey(em, { id }, select, lock)
}

/** The model that had this name last. */
export async function findRedirect(
  em: EntityManager,
  key: { namespace: string; model: string },
): Promise<string | undefined> {
  const [row] = await em.execute<{ model_id: string }[]>(
    'select model_id from model_redirect where namespace = ? and name_key = ?',
    [key.namespace, nameKey(key.model)],
  )
  return row?.model_id
}

/** Whose a model is or, when it is deleted, was. */
export async function findNamespaceOfModel(em: EntityManager, id: string): Promise<string | undefined> {
  const [row] = await em.execute<{ namespace: string }[]>(
    `select namespace from model where id = ?
      union all select namespace from tombstone where id = ? and type = 'model' limit 1`,
    [id, id],
  )
  return row?.namespace
}

const FIELDS: FilterFields = {
  name: textField(sql`m.name`),
  owner: textField(sql`m.owner`),
  creator: textField(sql`m.creator`),
  state: wordField(sql`m.state`, ['ACTIVE', 'ARCHIVED']),
  create_time: timeField(sql`m.create_time`),
  update_time: timeField(sql`m.update_time`),
  labels: labelsField(sql`m.labels`),
}

const SORT_COLUMNS = { name: sql`m.name_key`, create_time: sql`m.create_time`, update_time: sql`m.update_time` }

export interface ModelQuestion {
  namespaces: 'all' | string[]
  filter: Filter | undefined
  order: ModelOrder
  page: Page
}

/** One row more than the page, where there is one, and the page as the rows' size allows it. */
export async function listModels(
  em: EntityManager,
  { namespaces, filter, order, page }: ModelQuestion,
  signal: AbortSignal,
): Promise<{ rows: (ModelRow & { sort_key: string })[]; page: Page }> {
  const conditions = [sql`true`]
  if (namespaces !== 'all') conditions.push(sql`m.namespace = any(${namespaces})`)
  if (filter) conditions.push(sql`(${toCondition(filter, FIELDS)})`)
  if (!mentions(filter, 'state')) conditions.push(sql`m.state = 'ACTIVE'`)
  const column = SORT_COLUMNS[order.by]
  const direction = order.descending ? sql`desc` : sql`asc`
  if (page.after) {
    const [key, id] = page.after
    const type = order.by === 'name' ? sql`text` : sql`timestamptz`
    const beyond = order.descending ? sql`<` : sql`>`
    conditions.push(sql`(${column}, m.id) ${beyond} (${key}::${type}, ${id}::uuid)`)
  }
  const keys = sql`select m.id, ${column} as sort_key, octet_length(m.description) + octet_length(m.labels::text) as bytes
    from model m where ${sql.join(conditions, sql` and `)}
    order by ${column} ${direction}, m.id ${direction} limit ${page.size + 1}`
  const { rows } = await sql<ModelRow & { sort_key: string; fetched: string }>`
    select ${sql.raw(COLUMNS)}, p.sort_key, p.fetched
    from ${withinBudget(keys, order.descending)} as p join model m on m.id = p.id order by p.ordinal
  `.execute(em.getKysely(), { signal, inflightQueryAbortStrategy: 'cancel query' })
  return { rows, page: shortened(page, rows) }
}
