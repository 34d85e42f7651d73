// Lists of gates, ordered by name, and of their revisions, the newest first: keyset pages.
import { sql } from 'kysely'
import type { Page } from '#lib/lists/pages.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import { truncatePage, withinBudget } from '../budget.ts'
import { readRow } from '../rows.ts'
import { Gate, GateRevision } from './gate.ts'

/** Returns one row more than the page if there is one, and the page cut to the size of an answer. */
export async function listGates(
  em: EntityManager,
  namespace: string,
  page: Page,
): Promise<{ rows: Gate[]; page: Page }> {
  const after = page.after ? String(page.after[0]) : ''
  const keys = sql`select g.id, g.name as sort_key, g.message_bytes as bytes from gate g
    where g.namespace = ${namespace} and g.name > ${after} order by g.name limit ${page.size + 1}`
  const rows = await query<{ fetched: string }>(
    em,
    sql`select g.*, m.name as model_name, p.fetched from ${withinBudget(keys, false)} as p
        join gate g on g.id = p.id left join model m on m.id = g.model_id order by p.ordinal`,
  )
  return { rows: rows.map((row) => readRow(em, Gate, row)), page: truncatePage(page, rows) }
}

/** Returns one row more than the page if there is one, and the page cut to the size of an answer. */
export async function listRevisions(
  em: EntityManager,
  gateId: string,
  page: Page,
): Promise<{ rows: GateRevision[]; page: Page }> {
  const before = page.after ? Number(page.after[0]) : 2 ** 31 - 1
  const keys = sql`select revision as id, revision as sort_key, message_bytes as bytes from gate_revision
    where gate_id = ${gateId}::uuid and revision < ${before}::int order by revision desc limit ${page.size + 1}`
  const rows = await query<{ fetched: string }>(
    em,
    sql`select r.*, p.fetched from ${withinBudget(keys, true)} as p
        join gate_revision r on r.gate_id = ${gateId}::uuid and r.revision = p.id order by p.ordinal`,
  )
  return { rows: rows.map((row) => readRow(em, GateRevision, row)), page: truncatePage(page, rows) }
}
