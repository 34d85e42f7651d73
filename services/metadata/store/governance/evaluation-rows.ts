// What was measured of versions: only ever added to, under the lock of the version's model.
import type { JsonValue } from '@bufbuild/protobuf'
import { sql } from 'kysely'
import type { Page } from '#lib/lists/pages.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { shortened, withinBudget } from '../budget.ts'

/** An evaluation by itself. */
export interface Measurement {
  id: string
  suite: string
  facts: JsonValue
  creator: string
  create_time: string
}

/** An evaluation with whose it is. */
export interface EvaluationRow extends Measurement {
  version_id: string
  model_id: string
  namespace: string
  model: string
  number: number
  digest: string
}

const MEASUREMENT = 'e.id, e.suite, e.facts, e.creator, e.create_time'
const COLUMNS = `${MEASUREMENT}, e.version_id, v.model_id, v.namespace, m.name as model, v.number, v.digest`
const OWNERS = 'join version v on v.id = e.version_id join model m on m.id = v.model_id'

/** Of a version, the newest first, at most `limit`. */
export async function listNewestEvaluations(
  em: EntityManager,
  versionId: string,
  limit: number,
): Promise<Measurement[]> {
  return em.execute<Measurement[]>(
    `select ${MEASUREMENT} from evaluation e where e.version_id = ? order by e.create_time desc, e.id desc limit ?`,
    [versionId, limit],
  )
}

export async function findEvaluation(em: EntityManager, id: string): Promise<EvaluationRow | undefined> {
  const [row] = await em.execute<EvaluationRow[]>(`select ${COLUMNS} from evaluation e ${OWNERS} where e.id = ?`, [id])
  return row
}

export interface NewEvaluation {
  id: string
  versionId: string
  suite: string
  facts: JsonValue
  messageBytes: number
  creator: string
}

/** Later than every other of the version, so that one of them is the newest. */
export async function insertEvaluation(em: EntityManager, init: NewEvaluation): Promise<void> {
  const { id, versionId, suite, facts, messageBytes, creator } = init
  await em.execute(
    `insert into evaluation (id, version_id, suite, facts, message_bytes, creator, create_time)
      select ?, ?, ?, ?, ?, ?, greatest(clock_timestamp(), max(create_time) + interval '1 microsecond')
      from evaluation where version_id = ?`,
    [id, versionId, suite, JSON.stringify(facts), messageBytes, creator, versionId],
  )
}

export interface EvaluationQuestion {
  versionId: string
  /** Of this suite only; empty for all. */
  suite: string
  page: Page
}

/** The newest first: one row more than the page, where there is one, and the page as the rows' size allows it. */
export async function listEvaluations(
  em: EntityManager,
  { versionId, suite, page }: EvaluationQuestion,
  signal: AbortSignal,
): Promise<{ rows: EvaluationRow[]; page: Page }> {
  const conditions = [sql`e.version_id = ${versionId}::uuid`]
  if (suite !== '') conditions.push(sql`e.suite = ${suite}`)
  if (page.after) {
    const [time, id] = page.after
    conditions.push(sql`(e.create_time, e.id) < (${time}::timestamptz, ${id}::uuid)`)
  }
  const keys = sql`select e.id, e.create_time as sort_key, e.message_bytes as bytes
    from evaluation e where ${sql.join(conditions, sql` and `)}
    order by e.create_time desc, e.id desc limit ${page.size + 1}`
  const { rows } = await sql<EvaluationRow & { fetched: string }>`
    select ${sql.raw(COLUMNS)}, p.fetched
    from ${withinBudget(keys, true)} as p join evaluation e on e.id = p.id ${sql.raw(OWNERS)} order by p.ordinal
  `.execute(em.getKysely(), { signal, inflightQueryAbortStrategy: 'cancel query' })
  return { rows, page: shortened(page, rows) }
}
