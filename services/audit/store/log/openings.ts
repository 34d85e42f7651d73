// Openings: the private values beside the leaves, with the salts of their commitments. They are written with every append
// and read with every entry.
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import type { Opening, StoredOpening } from '../../domain/private.ts'
import type { RetentionClass } from '../../domain/retention.ts'
import { PrivateValue, type Entry } from '../entities.ts'
import { query } from '#lib/store/query.ts'

/** An entry with its private values. */
export type OpenedEntry = Pick<Entry, 'index' | 'leaf'> & { openings: StoredOpening[] }

/** Inserts the openings of consecutive entries, of which the first is at index `first`. */
export async function insertOpenings(
  em: EntityManager,
  first: number,
  entries: { openings: Opening[]; retentionClass: RetentionClass }[],
): Promise<void> {
  const rows = entries.flatMap(({ openings, retentionClass }, at) =>
    openings.map((opening) => ({ ...opening, retentionClass, index: first + at })),
  )
  if (rows.length === 0) return
  await query(
    em,
    sql`insert into private_value (index, field, salt, value, retention_class)
      select * from unnest(${rows.map(({ index }) => index)}::bigint[], ${rows.map(({ field }) => field)}::text[],
        ${rows.map(({ salt }) => salt)}::bytea[], ${rows.map(({ value }) => value)}::text[],
        ${rows.map((row) => row.retentionClass)}::text[])`,
  )
}

/** Returns the openings of these entries by index, in the order of their fields. */
export async function readOpenings(em: EntityManager, indexes: number[]): Promise<Map<number, StoredOpening[]>> {
  if (indexes.length === 0) return new Map()
  const rows = await query<OpeningRow>(
    em,
    sql`select index, field, salt, value, redact_index from private_value
      where index = any(${indexes}::bigint[]) order by index, field collate "C"`,
  )
  const openings = rows.map((row) => ({ index: Number(row.index), opening: toOpening(row) }))
  const byIndex = Map.groupBy(openings, ({ index }) => index)
  return new Map([...byIndex].map(([index, found]) => [index, found.map(({ opening }) => opening)]))
}

interface OpeningRow {
  index: string
  field: string
  salt: Buffer | null
  value: string | null
  redact_index: string | null
}

function toOpening({ field, salt, value, redact_index: redactIndex }: OpeningRow): StoredOpening {
  if (salt === null || value === null) return { field, redactIndex: Number(redactIndex) }
  return { field, salt, value, redactIndex: null }
}

/** Erases values of one entry. `redactIndex` is the index of the entry that records the erasure. */
export async function eraseValues(
  em: EntityManager,
  index: number,
  fields: string[],
  redactIndex: number,
): Promise<void> {
  await em.nativeUpdate(PrivateValue, { index, field: { $in: fields } }, { salt: null, value: null, redactIndex })
}
