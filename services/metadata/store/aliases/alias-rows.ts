// Where aliases point and pointed. Changes are made under the model's lock.
import { v5 as uuidv5, v7 as uuidv7 } from 'uuid'
import type { EntityManager } from '#lib/store/database.ts'

export interface AliasRow {
  id: string
  name: string
  number: number
  version_id: string
  digest: string
  mover: string
  move_time: string
  reason: string
}

export interface AliasMoveRow {
  id: string
  name: string
  from_number: number
  to_number: number
  mover: string
  move_time: string
  reason: string
  promotion_id: string | null
  forced: boolean
}

const COLUMNS = 'a.id, a.name, a.number, a.version_id, v.digest, a.mover, a.move_time, a.reason'

/** The model's aliases of these names, by name. */
export async function findAliases(em: EntityManager, modelId: string, names: string[]): Promise<Map<string, AliasRow>> {
  const rows = await em.execute<AliasRow[]>(
    `select ${COLUMNS} from alias a join version v on v.id = a.version_id
      where a.model_id = ? and a.name in (select jsonb_array_elements_text(?::jsonb))`,
    [modelId, JSON.stringify(names)],
  )
  return new Map(rows.map((row) => [row.name, row]))
}

/** Ids and digests of the model's versions of these numbers. */
export async function findTargets(
  em: EntityManager,
  modelId: string,
  numbers: number[],
): Promise<Map<number, { id: string; digest: string }>> {
  const rows = await em.execute<{ id: string; number: number; digest: string }[]>(
    `select id, number, digest from version
      where model_id = ? and number in (select jsonb_array_elements_text(?::jsonb)::int)`,
    [modelId, JSON.stringify(numbers)],
  )
  return new Map(rows.map(({ id, number, digest }) => [number, { id, digest }]))
}

/** Later than every move of the model so far, so that a look at a past time sees them in their order. */
export async function nextMoveTime(em: EntityManager, modelId: string): Promise<string> {
  const [row] = await em.execute<{ time: string }[]>(
    `select greatest(clock_timestamp(), max(move_time) + interval '1 microsecond') as time
      from alias_move where model_id = ?`,
    [modelId],
  )
  return row!.time
}

export interface Move {
  aliasId: string
  modelId: string
  name: string
  from: number
  to: number
  /** Absent to remove the alias. */
  versionId: string | undefined
  mover: string
  time: string
  reason: string
  promotionId: string | undefined
  /** Past its gates. */
  forced: boolean
}

/** The same id whenever a model has an alias of this name, so that its events belong together. */
export function aliasId(modelId: string, name: string): string {
  return uuidv5(name, modelId)
}

export async function recordMove(em: EntityManager, move: Move): Promise<void> {
  const { aliasId, modelId, name, from, to, versionId, mover, time, reason } = move
  await em.execute(
    `insert into alias_move
        (id, alias_id, model_id, name, from_number, to_number, version_id, mover, move_time, reason, promotion_id, forced)
      values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    [
      uuidv7(),
      aliasId,
      modelId,
      name,
      from,
      to,
      versionId ?? null,
      mover,
      time,
      reason,
      move.promotionId ?? null,
      move.forced,
    ],
  )
  if (versionId === undefined) {
    await em.execute('delete from alias where id = ?', [aliasId])
    return
  }
  await em.execute(
    `insert into alias (id, model_id, name, number, version_id, mover, move_time, reason)
      values (?, ?, ?, ?, ?, ?, ?, ?)
      on conflict (id) do update set number = excluded.number, version_id = excluded.version_id,
        mover = excluded.mover, move_time = excluded.move_time, reason = excluded.reason`,
    [aliasId, modelId, name, to, versionId, mover, time, reason],
  )
}

/** By name, those after `after`. */
export async function listAliases(
  em: EntityManager,
  modelId: string,
  page: { after: string; limit: number },
): Promise<AliasRow[]> {
  return em.execute<AliasRow[]>(
    `select ${COLUMNS} from alias a join version v on v.id = a.version_id
      where a.model_id = ? and a.name > ? order by a.name limit ?`,
    [modelId, page.after, page.limit],
  )
}

const MOVE_COLUMNS = 'id, name, from_number, to_number, mover, move_time, reason, promotion_id, forced'

/** The newest first. `name`: of one alias; empty for all. */
export async function listMoves(
  em: EntityManager,
  question: { modelId: string; name: string; after: [string, string] | undefined; limit: number },
): Promise<AliasMoveRow[]> {
  const { modelId, name, after, limit } = question
  const conditions = ['model_id = ?']
  const values: unknown[] = [modelId]
  if (name !== '') {
    conditions.push('name = ?')
    values.push(name)
  }
  if (after) {
    conditions.push('(move_time, id) < (?::timestamptz, ?::uuid)')
    values.push(...after)
  }
  return em.execute<AliasMoveRow[]>(
    `select ${MOVE_COLUMNS} from alias_move where ${conditions.join(' and ')}
      order by move_time desc, id desc limit ?`,
    [...values, limit],
  )
}
