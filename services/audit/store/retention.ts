// Which private values there still are, by class.
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import type { RetentionClass } from '../domain/retention.ts'
import { IS_HELD } from './private.ts'

export interface ValueName {
  index: number
  field: string
}

export interface KeptValue extends ValueName {
  isDue: boolean
  isHeld: boolean
}

interface Kept {
  retentionClass: RetentionClass
  seconds: number
  after: ValueName
  now: string
  limit: number
}

/** In the order of the log, held ones too. */
export async function readKept(
  em: EntityManager,
  { retentionClass, seconds, after, now, limit }: Kept,
): Promise<KeptValue[]> {
  const rows = await em.execute<{ index: string; field: string; is_due: boolean; is_held: boolean }[]>(
    `select kept.index, kept.field, entry.record_time <= ?::timestamptz - make_interval(secs => ?) as is_due,
        exists (select from hold where ${IS_HELD}) as is_held
      from (select index, field from private_value
          where retention_class = ? and value is not null and (index, field) > (?, ?)
          order by index, field limit ?) as kept
        join entry on entry.index = kept.index order by kept.index, kept.field`,
    [now, seconds, retentionClass, after.index, after.field, limit],
  )
  return rows.map(({ index, field, is_due: isDue, is_held: isHeld }) => ({
    index: Number(index),
    field,
    isDue,
    isHeld,
  }))
}

export async function eraseEach(em: EntityManager, values: ValueName[], redactIndex: number): Promise<void> {
  await sql`update private_value set salt = null, value = null, redact_index = ${redactIndex}
    from unnest(${values.map(({ index }) => index)}::bigint[], ${values.map(({ field }) => field)}::text[])
      as due (index, field)
    where private_value.index = due.index and private_value.field = due.field`.execute(em.getKysely())
}

/** When the oldest value of each class was recorded that is still there; those without any are left out. */
export async function findOldest(em: EntityManager, classes: readonly string[]): Promise<Map<string, string>> {
  const rows = await em.execute<{ class: string; time: string }[]>(
    `select class, (select entry.record_time from private_value join entry using (index)
        where retention_class = class and value is not null order by private_value.index, field limit 1) as time
      from jsonb_array_elements_text(?::jsonb) as class`,
    [JSON.stringify(classes)],
  )
  return new Map(rows.filter(({ time }) => time !== null).map((row) => [row.class, row.time]))
}
