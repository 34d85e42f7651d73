// The values beside the leaves, and the holds that keep them.
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import type { Opening, StoredOpening } from '../domain/private.ts'
import type { RetentionClass } from '../domain/retention.ts'

/** The first are those of the entry at `first`, and so on. */
export async function insertOpenings(
  em: EntityManager,
  first: number,
  entries: { openings: Opening[]; retentionClass: RetentionClass }[],
): Promise<void> {
  const rows = entries.flatMap(({ openings, retentionClass }, at) =>
    openings.map((opening) => ({ ...opening, retentionClass, index: first + at })),
  )
  if (rows.length === 0) return
  await sql`
    insert into private_value (index, field, salt, value, retention_class)
    select * from unnest(${rows.map(({ index }) => index)}::bigint[], ${rows.map(({ field }) => field)}::text[],
      ${rows.map(({ salt }) => salt)}::bytea[], ${rows.map(({ value }) => value)}::text[],
      ${rows.map((row) => row.retentionClass)}::text[])`.execute(em.getKysely())
}

/** Of these entries, by index; in the order of their fields. */
export async function readOpenings(em: EntityManager, indexes: number[]): Promise<Map<number, StoredOpening[]>> {
  if (indexes.length === 0) return new Map()
  const { rows } = await sql<OpeningRow>`
    select index, field, salt, value, redact_index from private_value
      where index = any(${indexes}::bigint[]) order by index, field collate "C"`.execute(em.getKysely())
  return groupOpenings(rows)
}

interface OpeningRow {
  index: string
  field: string
  salt: Buffer | null
  value: string | null
  redact_index: string | null
}

function groupOpenings(rows: OpeningRow[]): Map<number, StoredOpening[]> {
  const byIndex = new Map<number, StoredOpening[]>()
  for (const { index, field, salt, value, redact_index: redactIndex } of rows) {
    const opening: StoredOpening =
      salt !== null && value !== null
        ? { field, salt, value, redactIndex: null }
        : { field, redactIndex: Number(redactIndex) }
    const openings = byIndex.get(Number(index))
    if (openings) openings.push(opening)
    else byIndex.set(Number(index), [opening])
  }
  return byIndex
}

export async function eraseValues(
  em: EntityManager,
  index: number,
  fields: string[],
  redactIndex: number,
): Promise<void> {
  await sql`update private_value set salt = null, value = null, redact_index = ${redactIndex}
    where index = ${index} and field = any(${fields}::text[])`.execute(em.getKysely())
}

export interface HoldRow {
  id: string
  namespace: string
  resource_id: string
  reason: string
  placer: string
  place_time: string
}

const COLUMNS = 'id, namespace, resource_id, reason, placer, place_time'

/** Whether a hold is in force on an entry. */
export const IS_HELD = `hold.release_index is null
  and (hold.namespace = '*' or hold.namespace <> '' and hold.namespace = entry.namespace
    or hold.resource_id <> '' and hold.resource_id = entry.resource_id)`

/** The id of a hold on the entry; undefined where there is none. */
export async function findHoldOn(em: EntityManager, index: number): Promise<string | undefined> {
  const [row] = await em.execute<{ id: string }[]>(
    `select hold.id from hold join entry on entry.index = ? where ${IS_HELD} limit 1`,
    [index],
  )
  return row?.id
}

export async function insertHold(em: EntityManager, hold: Omit<HoldRow, 'place_time'>): Promise<HoldRow> {
  const { id, namespace, resource_id: resourceId, reason, placer } = hold
  const [row] = await em.execute<HoldRow[]>(
    `insert into hold (id, namespace, resource_id, reason, placer) values (?, ?, ?, ?, ?) returning ${COLUMNS}`,
    [id, namespace, resourceId, reason, placer],
  )
  return row!
}

export async function findHold(em: EntityManager, id: string): Promise<(HoldRow & { released: boolean }) | undefined> {
  const [row] = await em.execute<(HoldRow & { released: boolean })[]>(
    `select ${COLUMNS}, release_index is not null as released from hold where id = ?`,
    [id],
  )
  return row
}

export async function releaseHold(em: EntityManager, id: string, releaseIndex: number): Promise<void> {
  await em.execute('update hold set release_index = ? where id = ?', [releaseIndex, id])
}

export async function listHolds(em: EntityManager, limit: number): Promise<HoldRow[]> {
  return em.execute<HoldRow[]>(
    `select ${COLUMNS} from hold where release_index is null order by place_time, id limit ?`,
    [limit],
  )
}
