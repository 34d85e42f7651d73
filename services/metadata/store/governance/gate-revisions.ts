// Revisions of gates.
import { fromJson, toJsonString, type JsonValue } from '@bufbuild/protobuf'
import { sql } from 'kysely'
import { GateRulesSchema, type GateRules } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import type { Page } from '#lib/lists/pages.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { truncatePage, withinBudget } from '../budget.ts'

export interface GateRevisionRow {
  gate_id: string
  revision: number
  /** Undefined if this revision deleted the gate. */
  rules: GateRules | undefined
  changer: string
  reason: string
  change_time: string
}

type StoredRevision = Omit<GateRevisionRow, 'rules'> & { rules: JsonValue | null }

export async function insertRevision(
  em: EntityManager,
  revision: Omit<GateRevisionRow, 'change_time'> & { namespace: string },
): Promise<void> {
  const { gate_id, namespace, rules, changer, reason } = revision
  const text = rules ? toJsonString(GateRulesSchema, rules) : null
  await em.execute(
    `insert into gate_revision (gate_id, revision, namespace, rules, message_bytes, changer, reason)
      values (?, ?, ?, ?, ?, ?, ?)`,
    [
      gate_id,
      revision.revision,
      namespace,
      text,
      Buffer.byteLength(text ?? '') + Buffer.byteLength(reason),
      changer,
      reason,
    ],
  )
}

/** Returns the namespace of a gate, also of a deleted one. */
export async function findNamespaceOfGate(em: EntityManager, id: string): Promise<string | undefined> {
  const [row] = await em.execute<{ namespace: string }[]>(
    'select namespace from gate_revision where gate_id = ? and revision = 1',
    [id],
  )
  return row?.namespace
}

/** Returns the newest first: one row more than the page if there is one, and the page cut to the size of an answer. */
export async function listRevisions(
  em: EntityManager,
  gateId: string,
  page: Page,
  signal: AbortSignal,
): Promise<{ rows: GateRevisionRow[]; page: Page }> {
  const before = page.after ? Number(page.after[0]) : 2 ** 31 - 1
  const keys = sql`select revision as id, revision as sort_key, message_bytes as bytes from gate_revision
    where gate_id = ${gateId}::uuid and revision < ${before}::int order by revision desc limit ${page.size + 1}`
  const { rows } = await sql<StoredRevision & { fetched: string }>`
    select r.gate_id, r.revision, r.rules, r.changer, r.reason, r.change_time, p.fetched
    from ${withinBudget(keys, true)} as p
      join gate_revision r on r.gate_id = ${gateId}::uuid and r.revision = p.id order by p.ordinal
  `.execute(em.getKysely(), { signal, inflightQueryAbortStrategy: 'cancel query' })
  const revisions = rows.map((row) => ({
    ...row,
    rules: row.rules === null ? undefined : fromJson(GateRulesSchema, row.rules),
  }))
  return { rows: revisions, page: truncatePage(page, rows) }
}
