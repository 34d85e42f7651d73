// Lists of promotions: keyset pages, the newest first.
import { sql } from 'kysely'
import type { Page } from '#lib/lists/pages.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import type { PromotionStateName } from '../../domain/governance/promotion-state.ts'
import { truncatePage, withinBudget } from '../budget.ts'
import { readRow } from '../rows.ts'
import { isOverdue, presentModelName, Promotion, votesOf } from './promotion.ts'

export interface PromotionQuery {
  within: { modelId: string } | { namespace: string }
  /** Undefined for all states. An overdue promotion counts as EXPIRED. */
  state: PromotionStateName | undefined
  page: Page
}

const COLUMNS = {
  id: 'p.id',
  namespace: 'p.namespace',
  modelId: 'p.model_id',
  model: 'p.model',
  state: 'p.state',
  expireTime: 'p.expire_time',
}

/** Returns one row more than the page if there is one, and the page cut to the size of an answer. */
export async function listPromotions(
  em: EntityManager,
  { within, state, page }: PromotionQuery,
): Promise<{ rows: Promotion[]; page: Page }> {
  const conditions = [
    'modelId' in within ? sql`p.model_id = ${within.modelId}::uuid` : sql`p.namespace = ${within.namespace}`,
  ]
  const overdue = sql.raw(isOverdue(COLUMNS))
  if (state === 'EXPIRED') conditions.push(sql`(p.state = 'EXPIRED' or (${overdue}))`)
  else if (state) conditions.push(sql`p.state = ${state} and not (${overdue})`)
  if (page.after) {
    const [time, id] = page.after
    conditions.push(sql`(p.request_time, p.id) < (${time}::timestamptz, ${id}::uuid)`)
  }
  const keys = sql`select p.id, p.request_time as sort_key, p.message_bytes as bytes from promotion p
    where ${sql.join(conditions, sql` and `)} order by p.request_time desc, p.id desc limit ${page.size + 1}`
  const rows = await query<{ fetched: string }>(
    em,
    sql`select p.*, ${sql.raw(presentModelName(COLUMNS))} as model_name, ${overdue} as overdue,
        ${sql.raw(votesOf(COLUMNS))} as votes, k.fetched
      from ${withinBudget(keys, true)} as k join promotion p on p.id = k.id order by k.ordinal`,
  )
  return { rows: rows.map((row) => readRow(em, Promotion, row)), page: truncatePage(page, rows) }
}
