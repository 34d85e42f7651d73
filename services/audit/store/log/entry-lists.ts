// Lists of entries. A page costs the same wherever it begins, and entries that the caller may not read are left out in
// SQL.
import { sql, type RawBuilder } from 'kysely'
import type { Database, EntityManager } from '#lib/store/database.ts'
import { NO_FILTER, type Condition, type FilterSql } from '#lib/store/filter.ts'
import { search } from '#lib/store/search.ts'
import type { Entry } from '../entities.ts'
import type { Readable } from './find-entry.ts'
import { readOpenings, type OpenedEntry } from './openings.ts'
import { query } from '#lib/store/query.ts'

export interface EntryQuery {
  readable: Readable
  filter: FilterSql | undefined
  /** The lowest index, inclusive. */
  from?: number
  /** The highest index, exclusive. */
  below?: number
  order: 'asc' | 'desc'
  limit: number
}

/** Bytes of the leaves and private values in one response, which has each of them twice: as bytes and as an event. gRPC
 * clients accept 4 MiB. */
const MAX_LEAF_BYTES = 1_500_000
/** Fields with an index. */
const NARROW = 'index, namespace, actor, type, resource.name or resource.id'
/** Entries in one message of an export. */
const EXPORT_BATCH = 2_000

/** Returns entries in order, and how many of them fit one response: at least one, where there is any. There may be fewer
 * than `limit`, although more match. */
export function searchEntries(
  database: Database,
  wanted: EntryQuery,
  signal: AbortSignal,
): Promise<{ rows: OpenedEntry[]; fitting: number }> {
  const { filter } = wanted
  return search(database, { filter, narrow: NARROW, signal }, (em) => readEntries(em, wanted, signal))
}

async function readEntries(
  em: EntityManager,
  wanted: EntryQuery,
  signal: AbortSignal,
): Promise<{ rows: OpenedEntry[]; fitting: number }> {
  const order = wanted.order === 'asc' ? sql`asc` : sql`desc`
  const found = await query<{ index: string; leaf: Buffer; private_bytes: number }>(
    em,
    sql`select index, leaf, private_bytes from (
      select index, leaf, private_bytes, sum(octet_length(leaf) + private_bytes) over (order by index ${order})
        - octet_length(leaf) - private_bytes as bytes_before
      from (${selectEntries(wanted, order)}) as wanted
    ) as measured where bytes_before <= ${MAX_LEAF_BYTES} order by index ${order}`,
    signal,
  )
  let bytes = 0
  const tooMuch = found.findIndex(({ leaf, private_bytes: more }) => (bytes += leaf.length + more) > MAX_LEAF_BYTES)
  return { rows: await openEntries(em, found), fitting: tooMuch === -1 ? found.length : Math.max(1, tooMuch) }
}

async function openEntries(em: EntityManager, rows: { index: string; leaf: Buffer }[]): Promise<OpenedEntry[]> {
  const indexes = rows.map(({ index }) => Number(index))
  const openings = await readOpenings(em, indexes)
  return rows.map(({ leaf }, at) => ({ index: indexes[at]!, leaf, openings: openings.get(indexes[at]!) ?? [] }))
}

/** Returns the entries from `from` (inclusive) to `below` (exclusive), as many as fit one response. */
export async function readLeaves(
  em: EntityManager,
  from: number,
  below: number,
  signal: AbortSignal,
): Promise<(OpenedEntry & Pick<Entry, 'leafHash'>)[]> {
  const rows = await query<{ index: string; leaf: Buffer; leaf_hash: Buffer }>(
    em,
    sql`select index, leaf, leaf_hash from (
      select index, leaf, leaf_hash, sum(octet_length(leaf) + private_bytes) over (order by index) as bytes from (
        select index, leaf, leaf_hash, private_bytes from entry where index >= ${from} and index < ${below}
          order by index limit ${EXPORT_BATCH}) as wanted
    ) as measured where bytes <= ${MAX_LEAF_BYTES} order by index`,
    signal,
  )
  const entries = await openEntries(em, rows)
  return entries.map((entry, at) => ({ ...entry, leafHash: rows[at]!.leaf_hash }))
}

/** Returns the leaves of `count` entries from `from` on. */
export async function readBundle(em: EntityManager, from: number, count: number): Promise<Buffer[]> {
  const rows = await query<{ leaf: Buffer }>(
    em,
    sql`select leaf from entry where index >= ${from} and index < ${from + count} order by index`,
  )
  return rows.map(({ leaf }) => leaf)
}

/** Reads several namespaces one by one, each along its index, and merges them. With one condition for all, PostgreSQL would
 * collect and sort all their entries for every page. */
function selectEntries(wanted: EntryQuery, order: RawBuilder<unknown>): RawBuilder<unknown> {
  const { readable } = wanted
  if (readable === 'all') return selectWhere(conditions(wanted), wanted, order)
  if (readable.length === 1) {
    return selectWhere([sql<boolean>`namespace = ${readable[0]}`, ...conditions(wanted)], wanted, order)
  }
  const inOne = selectWhere([sql<boolean>`namespace = readable.name`, ...conditions(wanted)], wanted, order)
  return sql`select found.index, found.leaf, found.private_bytes from unnest(${readable}::text[]) as readable (name)
    cross join lateral (${inOne}) as found order by found.index ${order} limit ${wanted.limit}`
}

function selectWhere(where: Condition[], wanted: EntryQuery, order: RawBuilder<unknown>): RawBuilder<unknown> {
  const { joined } = wanted.filter ?? NO_FILTER
  const condition = where.length === 0 ? sql`true` : sql.join(where, sql` and `)
  return sql`select index, leaf, private_bytes from entry ${joined} where ${condition}
    order by index ${order} limit ${wanted.limit}`
}

function conditions({ from, below, filter }: EntryQuery): Condition[] {
  return [
    ...(from === undefined ? [] : [sql<boolean>`index >= ${from}`]),
    ...(below === undefined ? [] : [sql<boolean>`index < ${below}`]),
    ...(filter === undefined ? [] : [sql<boolean>`(${filter.condition})`]),
  ]
}
