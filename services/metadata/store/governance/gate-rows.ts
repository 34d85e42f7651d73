// Gates. A change of a gate locks the row of its namespace exclusively; a move of an alias takes a shared lock. The
// audit log therefore contains both in the order in which they took effect.
import { fromJson, toJsonString, type JsonValue } from '@bufbuild/protobuf'
import { sql } from 'kysely'
import { GateRulesSchema, type GateRules } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import type { Page } from '#lib/lists/pages.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { matchesWildcard } from '#lib/lists/wildcard.ts'
import { truncatePage, withinBudget } from '../budget.ts'

interface StoredGate {
  id: string
  namespace: string
  name: string
  model_id: string | null
  /** The model's name; null if the gate guards all models of the namespace. */
  model: string | null
  rules: JsonValue
  creator: string
  create_time: string
  update_time: string
  revision: number
}

export type GateRow = Omit<StoredGate, 'rules'> & { rules: GateRules }

const COLUMNS = `g.id, g.namespace, g.name, g.model_id, m.name as model, g.rules, g.creator, g.create_time,
  g.update_time, g.revision`
const FROM = 'gate g left join model m on m.id = g.model_id'

/** Locks the gates of the namespace against changes, until the transaction ends. Lock the model first. */
export async function lockGatesShared(em: EntityManager, namespace: string): Promise<void> {
  await em.execute('select 1 from namespace where name = ? for share', [namespace])
}

/** Returns the gates that guard the alias, ordered by name. */
export async function findGuardingGates(
  em: EntityManager,
  { namespace, modelId, alias }: { namespace: string; modelId: string; alias: string },
): Promise<GateRow[]> {
  const gates = await findGatesOfModel(em, namespace, modelId)
  return gates.filter(({ rules }) => isGuarded(alias, rules))
}

export function isGuarded(alias: string, { aliasPattern }: GateRules): boolean {
  return matchesWildcard(aliasPattern, alias)
}

/** Returns the gates of the model and those of all models of its namespace, ordered by name. */
export async function findGatesOfModel(em: EntityManager, namespace: string, modelId: string): Promise<GateRow[]> {
  const rows = await em.execute<StoredGate[]>(
    `select ${COLUMNS} from ${FROM} where g.namespace = ? and (g.model_id is null or g.model_id = ?) order by g.name`,
    [namespace, modelId],
  )
  return rows.map(parseRow)
}

export async function findGate(em: EntityManager, namespace: string, name: string): Promise<GateRow | undefined> {
  const [row] = await em.execute<StoredGate[]>(`select ${COLUMNS} from ${FROM} where g.namespace = ? and g.name = ?`, [
    namespace,
    name,
  ])
  return row && parseRow(row)
}

export async function countGates(em: EntityManager, namespace: string): Promise<number> {
  const [row] = await em.execute<{ count: string }[]>('select count(*) as count from gate where namespace = ?', [
    namespace,
  ])
  return Number(row!.count)
}

export interface NewGate {
  id: string
  namespace: string
  name: string
  modelId: string | null
  rules: GateRules
  creator: string
}

/** Returns false if the name is taken. */
export async function insertGate(em: EntityManager, gate: NewGate): Promise<boolean> {
  const rules = toJsonString(GateRulesSchema, gate.rules)
  const rows = await em.execute<unknown[]>(
    `insert into gate (id, namespace, name, model_id, rules, message_bytes, creator) values (?, ?, ?, ?, ?, ?, ?)
      on conflict (namespace, name) do nothing returning 1`,
    [gate.id, gate.namespace, gate.name, gate.modelId, rules, Buffer.byteLength(rules), gate.creator],
  )
  return rows.length > 0
}

export async function updateGate(em: EntityManager, id: string, rules: GateRules): Promise<void> {
  const text = toJsonString(GateRulesSchema, rules)
  await em.execute(
    'update gate set rules = ?, message_bytes = ?, update_time = now(), revision = revision + 1 where id = ?',
    [text, Buffer.byteLength(text), id],
  )
}

export async function removeGate(em: EntityManager, id: string): Promise<void> {
  await em.execute('delete from gate where id = ?', [id])
}

/** Returns the gates that must be removed with the model or namespace. */
export async function listGatesToRemove(
  em: EntityManager,
  of: { modelId: string } | { namespace: string },
): Promise<GateRow[]> {
  const [column, value] = 'modelId' in of ? ['model_id', of.modelId] : ['namespace', of.namespace]
  const rows = await em.execute<StoredGate[]>(`select ${COLUMNS} from ${FROM} where g.${column} = ? order by g.name`, [
    value,
  ])
  return rows.map(parseRow)
}

/** Returns the gates by name: one row more than the page if there is one, and the page cut to the size of an answer. */
export async function listGates(
  em: EntityManager,
  namespace: string,
  page: Page,
  signal: AbortSignal,
): Promise<{ rows: GateRow[]; page: Page }> {
  const after = page.after ? String(page.after[0]) : ''
  const keys = sql`select g.id, g.name as sort_key, g.message_bytes as bytes from gate g
    where g.namespace = ${namespace} and g.name > ${after} order by g.name limit ${page.size + 1}`
  const { rows } = await sql<StoredGate & { fetched: string }>`
    select ${sql.raw(COLUMNS)}, p.fetched from ${withinBudget(keys, false)} as p
      join gate g on g.id = p.id left join model m on m.id = g.model_id order by p.ordinal
  `.execute(em.getKysely(), { signal, inflightQueryAbortStrategy: 'cancel query' })
  return { rows: rows.map(parseRow), page: truncatePage(page, rows) }
}

function parseRow(row: StoredGate): GateRow {
  return { ...row, rules: fromJson(GateRulesSchema, row.rules) }
}
