// Pages that stay below the default message limit of gRPC clients (4 MiB), however large their rows are.
import { sql, type RawBuilder } from 'kysely'
import type { Page } from '#lib/lists/pages.ts'

/** The limit of the estimated size of the rows in one answer. */
const ANSWER_BYTES = 3_000_000

/** Selects the rows of `keys` that fit into one answer, and one row more if there is one. `keys` is a query of `id`,
 * `sort_key` and `bytes`, ordered and limited. */
export function withinBudget(keys: RawBuilder<unknown>, descending: boolean): RawBuilder<unknown> {
  const order = descending ? sql`sort_key desc, id desc` : sql`sort_key, id`
  return sql`(
    select id, sort_key, ordinal, fetched from (
      select id, sort_key, bytes, row_number() over ordered as ordinal, count(*) over () as fetched,
        sum(bytes) over (ordered rows unbounded preceding) as total
      from (${keys}) as fetched_keys window ordered as (order by ${order})
    ) as counted_keys where ordinal <= 2 or total - bytes < ${ANSWER_BYTES}::int
  )`
}

/** Returns the page with the size to which the budget has cut it. */
export function truncatePage(page: Page, rows: { fetched: string }[]): Page {
  return Number(rows[0]?.fetched ?? 0) > rows.length ? { ...page, size: rows.length - 1 } : page
}
