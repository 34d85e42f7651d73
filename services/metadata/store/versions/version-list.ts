// Lists of versions: any filter, three orders, keyset pages.
import { sql, type RawBuilder } from 'kysely'
import type { Filter } from '#lib/lists/filter.ts'
import type { Page } from '#lib/lists/pages.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { NO_FILTER } from '#lib/store/filter.ts'
import { query } from '#lib/store/query.ts'
import type { VersionOrder } from '../../domain/orders.ts'
import { truncatePage, withinBudget } from '../budget.ts'
import { toVersionSql } from './version-filter.ts'
import { VERSION_COLUMNS } from './resolve-version.ts'
import type { Version } from './version.ts'

export interface VersionQuery {
  /** Versions of this model only, or of all models in these namespaces. */
  within: { modelId: string } | { namespaces: 'all' | string[] }
  filter: Filter | undefined
  order: VersionOrder
  page: Page
}

export interface ListedVersion {
  version: Version
  sortKey: string | number
}

/** Returns one row more than the page if there is one, and the page cut to the size of an answer. */
export async function listVersions(
  em: EntityManager,
  { within, filter, order, page }: VersionQuery,
): Promise<{ rows: ListedVersion[]; page: Page }> {
  const { from, column, id, type, conditions } = source(order, within)
  const { joined, condition } = filter ? toVersionSql(filter) : NO_FILTER
  conditions.push(sql`(${condition})`)
  const direction = order.descending ? sql`desc` : sql`asc`
  const tie = order.by === 'number' ? sql`` : sql`, ${id} ${direction}`
  if (page.after) conditions.push(afterCursor(order, column, id, type, page.after))
  const keys = sql`select v.id, ${column} as sort_key, v.message_bytes as bytes
    from ${from} ${joined} where ${sql.join(conditions, sql` and `)}
    order by ${column} ${direction}${tie} limit ${page.size + 1}`
  const rows = await query<ListedRow>(
    em,
    sql`select ${VERSION_COLUMNS}, p.sort_key, p.fetched
      from ${withinBudget(keys, order.descending)} as p
        join version v on v.id = p.id join model m on m.id = v.model_id
      order by p.ordinal`,
  )
  const listed = rows.map((row) => ({ version: row, sortKey: row.sort_key }))
  return { rows: listed, page: truncatePage(page, rows) }
}

type ListedRow = Version & { sort_key: string | number; fetched: string }

interface Source {
  from: RawBuilder<unknown>
  column: RawBuilder<unknown>
  id: RawBuilder<unknown>
  type: RawBuilder<unknown>
  conditions: RawBuilder<unknown>[]
}

function source(order: VersionOrder, within: VersionQuery['within']): Source {
  const conditions: RawBuilder<unknown>[] = []
  if ('modelId' in within) conditions.push(sql`v.model_id = ${within.modelId}::uuid`)
  else if (within.namespaces !== 'all') conditions.push(namespaceCondition(within.namespaces))
  if (order.by === 'metric') {
    conditions.push(sql`s.name = ${order.metric}`, sql`s.main`)
    if ('modelId' in within) conditions.push(sql`s.model_id = ${within.modelId}::uuid`)
    const from = sql`version_metric s join version v on v.id = s.version_id`
    return { from, column: sql`s.value`, id: sql`s.version_id`, type: sql`float8`, conditions }
  }
  const from = sql`version v`
  if (order.by === 'number') return { from, column: sql`v.number`, id: sql`v.id`, type: sql`int`, conditions }
  return { from, column: sql`v.create_time`, id: sql`v.id`, type: sql`timestamptz`, conditions }
}

/** Compares one namespace by `=`, so that PostgreSQL uses the index that begins with it. */
function namespaceCondition(namespaces: string[]): RawBuilder<unknown> {
  return namespaces.length === 1 ? sql`v.namespace = ${namespaces[0]}` : sql`v.namespace = any(${namespaces})`
}

function afterCursor(
  order: VersionOrder,
  column: RawBuilder<unknown>,
  id: RawBuilder<unknown>,
  type: RawBuilder<unknown>,
  [key, lastId]: (string | number)[],
): RawBuilder<unknown> {
  const sign = order.descending ? sql`<` : sql`>`
  if (order.by === 'number') return sql`${column} ${sign} ${key}::${type}`
  return sql`(${column}, ${id}) ${sign} (${key}::${type}, ${lastId}::uuid)`
}
