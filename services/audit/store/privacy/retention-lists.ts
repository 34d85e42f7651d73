// Lists of private values by retention class.
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import type { RetentionClass } from '../../domain/retention.ts'
import type { PrivateValue } from '../entities.ts'
import { query } from '#lib/store/query.ts'

export type ValueName = Pick<PrivateValue, 'index' | 'field'>

export interface ListedValue extends ValueName {
  isDue: boolean
  isHeld: boolean
}

interface ValueQuery {
  retentionClass: RetentionClass
  seconds: number
  after: ValueName
  now: string
  limit: number
}

/** Condition: a hold is in force on an entry. */
const IS_HELD = sql`hold.release_index is null
  and (hold.namespace = '*' or hold.namespace <> '' and hold.namespace = entry.namespace
    or hold.resource_id <> '' and hold.resource_id = entry.resource_id)`

/** Returns values that are still stored, in the order of the log, also those under a hold. */
export async function listStoredValues(
  em: EntityManager,
  { retentionClass, seconds, after, now, limit }: ValueQuery,
): Promise<ListedValue[]> {
  const rows = await query<{ index: string; field: string; is_due: boolean; is_held: boolean }>(
    em,
    sql`select stored.index, stored.field, entry.record_time <= ${now}::timestamptz - make_interval(secs => ${seconds}) as is_due,
        exists (select from hold where ${IS_HELD}) as is_held
      from (select index, field from private_value
          where retention_class = ${retentionClass} and value is not null
            and (index, field) > (${after.index}, ${after.field})
          order by index, field limit ${limit}) as stored
        join entry on entry.index = stored.index order by stored.index, stored.field`,
  )
  return rows.map(({ index, field, is_due: isDue, is_held: isHeld }) => ({
    index: Number(index),
    field,
    isDue,
    isHeld,
  }))
}

/** Erases values of any entries. `redactIndex` is the index of the entry that records the erasure. */
export async function eraseEach(em: EntityManager, values: ValueName[], redactIndex: number): Promise<void> {
  await query(
    em,
    sql`update private_value set salt = null, value = null, redact_index = ${redactIndex}
    from unnest(${values.map(({ index }) => index)}::bigint[], ${values.map(({ field }) => field)}::text[])
      as due (index, field)
    where private_value.index = due.index and private_value.field = due.field`,
  )
}

/** Returns the record time of the oldest value of each class that is still stored; classes without values are left out. */
export async function findOldest(em: EntityManager, classes: readonly string[]): Promise<Map<string, string>> {
  const rows = await query<{ class: string; time: string | null }>(
    em,
    sql`select class, (select entry.record_time from private_value join entry using (index)
        where retention_class = class and value is not null order by private_value.index, field limit 1) as time
      from unnest(${classes}::text[]) as class`,
  )
  return new Map(rows.flatMap((row) => (row.time === null ? [] : [[row.class, row.time]])))
}
