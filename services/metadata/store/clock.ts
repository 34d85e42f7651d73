// Times by the clock of the database. They remain in PostgreSQL's text format, because a Date loses the microseconds.
import { raw } from '@mikro-orm/postgresql'
import type { EntityManager } from '#lib/store/database.ts'

/** The longest lifetime of a token: a year, and a minute for clock skew. */
const MAX_TOKEN_LIFETIME = `interval '1 year 1 minute'`

/** The time at which the transaction began, as the value of a property. Refresh the entity after the flush to read it. */
export const transactionTime = () => raw('now()')

/** The time at which the row is written, as the value of a property. */
export const clockTime = () => raw('clock_timestamp()')

/** The time at which the statement began. It is the same in all properties that one flush writes. */
export const statementTime = (secondsLater = 0) =>
  raw('statement_timestamp() + make_interval(secs => ?)', [secondsLater])

/** The present time, or a microsecond after the newest evaluation of the version, whichever is later, as the value of a
 * property. No two evaluations of a version have the same time. */
export const nextEvaluationTime = (versionId: string) =>
  raw(
    `greatest(clock_timestamp(),
      (select max(create_time) + interval '1 microsecond' from evaluation where version_id = ?))`,
    [versionId],
  )

/** Returns the present time, or a microsecond after the newest move of the model, whichever is later: a read at a past
 * time sees the moves in their order. */
export async function nextMoveTime(em: EntityManager, modelId: string): Promise<string> {
  const [row] = await em.execute<{ time: string }[]>(
    `select greatest(clock_timestamp(), max(move_time) + interval '1 microsecond') as time
      from alias_move where model_id = ?`,
    [modelId],
  )
  return row!.time
}

/** Returns the time that many seconds after the transaction began. */
export async function timeAfter(em: EntityManager, seconds: number): Promise<string> {
  const [row] = await em.execute<{ time: string }[]>('select now() + make_interval(secs => ?) as time', [seconds])
  return row!.time
}

/** Returns whether `expireTime` is in the past, and whether it is too far in the future for a token. */
export async function checkTokenExpiry(
  em: EntityManager,
  expireTime: string,
): Promise<{ past: boolean; far: boolean }> {
  const [checked] = await em.execute<{ past: boolean; far: boolean }[]>(
    `select ?::timestamptz <= now() as past, ?::timestamptz > now() + ${MAX_TOKEN_LIFETIME} as far`,
    [expireTime, expireTime],
  )
  return checked!
}
