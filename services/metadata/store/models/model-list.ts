// Lists of models: any filter, three orders, keyset pages.
import { sql } from 'kysely'
import type { Filter } from '#lib/lists/filter.ts'
import type { Page } from '#lib/lists/pages.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import {
  joinOnce,
  labelsField,
  hasConditionOn,
  NO_FILTER,
  textField,
  timeField,
  toCondition,
  wordField,
  type FilterFields,
} from '#lib/store/filter.ts'
import type { ModelOrder } from '../../domain/orders.ts'
import { truncatePage, withinBudget } from '../budget.ts'
import { Model } from './model.ts'
import { readRow } from '../rows.ts'

const COLUMNS = sql`m.*,
  (select coalesce(json_agg(json_build_object('name', a.name, 'number', a.number) order by a.name), '[]')
    from alias a where a.model_id = m.id) as aliases`

export interface ListedModel {
  model: Model
  sortKey: string
}

const FIELDS: FilterFields = {
  name: textField(sql`m.name`),
  owner: textField(sql`m.owner`),
  creator: textField(sql`m.creator`),
  state: wordField(sql`m.state`, ['ACTIVE', 'ARCHIVED']),
  create_time: timeField(sql`m.create_time`),
  update_time: timeField(sql`m.update_time`),
  labels: labelsField(sql`d.labels`),
}
const LABELS = joinOnce(sql`select m.labels || '{}' as labels`)

const SORT_COLUMNS = { name: sql`m.name_key`, create_time: sql`m.create_time`, update_time: sql`m.update_time` }

export interface ModelQuery {
  namespaces: 'all' | string[]
  filter: Filter | undefined
  order: ModelOrder
  page: Page
}

/** Returns one row more than the page if there is one, and the page cut to the size of an answer. */
export async function listModels(
  em: EntityManager,
  { namespaces, filter, order, page }: ModelQuery,
): Promise<{ rows: ListedModel[]; page: Page }> {
  const conditions = [sql`true`]
  if (namespaces !== 'all') conditions.push(sql`m.namespace = any(${namespaces})`)
  const joined = hasConditionOn(filter, 'labels') ? LABELS : NO_FILTER.joined
  if (filter) conditions.push(sql`(${toCondition(filter, FIELDS)})`)
  if (!hasConditionOn(filter, 'state')) conditions.push(sql`m.state = 'ACTIVE'`)
  const column = SORT_COLUMNS[order.by]
  const direction = order.descending ? sql`desc` : sql`asc`
  if (page.after) {
    const [key, id] = page.after
    const type = order.by === 'name' ? sql`text` : sql`timestamptz`
    const beyond = order.descending ? sql`<` : sql`>`
    conditions.push(sql`(${column}, m.id) ${beyond} (${key}::${type}, ${id}::uuid)`)
  }
  const keys = sql`select m.id, ${column} as sort_key, octet_length(m.description) + octet_length(m.labels::text) as bytes
    from model m ${joined} where ${sql.join(conditions, sql` and `)}
    order by ${column} ${direction}, m.id ${direction} limit ${page.size + 1}`
  const rows = await query<{ sort_key: string; fetched: string }>(
    em,
    sql`select ${COLUMNS}, p.sort_key, p.fetched
      from ${withinBudget(keys, order.descending)} as p join model m on m.id = p.id order by p.ordinal`,
  )
  const listed = rows.map((row) => ({ model: readRow(em, Model, row), sortKey: row.sort_key }))
  return { rows: listed, page: truncatePage(page, rows) }
}
