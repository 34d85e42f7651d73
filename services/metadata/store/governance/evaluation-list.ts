// Lists of evaluations: keyset pages, the newest first.
import { sql } from 'kysely'
import type { Page } from '#lib/lists/pages.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import { truncatePage, withinBudget } from '../budget.ts'
import { Evaluation } from './evaluation.ts'
import { readRow } from '../rows.ts'

export interface EvaluationQuery {
  versionId: string
  /** Empty for all suites. */
  suite: string
  page: Page
}

/** Returns the newest first: one row more than the page if there is one, and the page cut to the size of an answer. */
export async function listEvaluations(
  em: EntityManager,
  { versionId, suite, page }: EvaluationQuery,
): Promise<{ rows: Evaluation[]; page: Page }> {
  const conditions = [sql`e.version_id = ${versionId}::uuid`]
  if (suite !== '') conditions.push(sql`e.suite = ${suite}`)
  if (page.after) {
    const [time, id] = page.after
    conditions.push(sql`(e.create_time, e.id) < (${time}::timestamptz, ${id}::uuid)`)
  }
  const keys = sql`select e.id, e.create_time as sort_key, e.message_bytes as bytes
    from evaluation e where ${sql.join(conditions, sql` and `)}
    order by e.create_time desc, e.id desc limit ${page.size + 1}`
  const rows = await query<{ fetched: string }>(
    em,
    sql`select e.*, p.fetched
      from ${withinBudget(keys, true)} as p join evaluation e on e.id = p.id order by p.ordinal`,
  )
  return { rows: rows.map((row) => readRow(em, Evaluation, row)), page: truncatePage(page, rows) }
}
