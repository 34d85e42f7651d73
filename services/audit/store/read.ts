// Reading the log. A page costs the same wherever it begins, and what the caller may not see is left out in SQL.
import { sql, type RawBuilder } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import type { Condition } from '#lib/store/filter.ts'
import type { StoredOpening } from '../domain/private.ts'
import { readOpenings } from './private.ts'

/** The namespaces a caller may read; `all` includes what belongs to no namespace. */
export type Readable = 'all' | string[]

export interface EntryRow {
  index: number
  leaf: Buffer
  openings: StoredOpening[]
}

export interface EntryQuery {
  readable: Readable
  filter: Condition | undefined
  /** Indexes from here on. */
  from?: number
  /** Indexes below this. */
  below?: number
  order: 'asc' | 'desc'
  limit: number
}

/** Leaves of one answer, which holds each twice: as bytes and as an event, and private values likewise. gRPC clients
 * take 4 MiB at most. */
const MAX_LEAF_BYTES = 1_500_000
/** Of an export. */
const LEAVES_AT_ONCE = 2_000

export async function readLogSize(em: EntityManager): Promise<number> {
  const [head] = await em.execute<{ size: string }[]>('select size from log_head')
  return Number(head!.size)
}

/** The entries in order, and how many of them, from the first on, make one answer: at least one, where there is any.
 * There may be fewer than asked for, although there are more. */
export async function readEntries(
  em: EntityManager,
  query: EntryQuery,
  signal?: AbortSignal,
): Promise<{ rows: EntryRow[]; fitting: number }> {
  const order = query.order === 'asc' ? sql`asc` : sql`desc`
  const { rows: found } = await sql<FoundRow>`
    select index, leaf, private_bytes from (
      select index, leaf, private_bytes, sum(octet_length(leaf) + private_bytes) over (order by index ${order})
        - octet_length(leaf) - private_bytes as bytes_before
      from (${selectEntries(query, order)}) as wanted
    ) as measured where bytes_before <= ${MAX_LEAF_BYTES} order by index ${order}`.execute(
    em.getKysely(),
    signal && { signal, inflightQueryAbortStrategy: 'cancel query' },
  )
  let bytes = 0
  const tooMuch = found.findIndex(({ leaf, private_bytes: more }) => (bytes += leaf.length + more) > MAX_LEAF_BYTES)
  return { rows: await open(em, found), fitting: tooMuch === -1 ? found.length : Math.max(1, tooMuch) }
}

interface FoundRow {
  index: string
  leaf: Buffer
  private_bytes: number
}

async function open(em: EntityManager, rows: { index: string; leaf: Buffer }[]): Promise<EntryRow[]> {
  const indexes = rows.map(({ index }) => Number(index))
  const openings = await readOpenings(em, indexes)
  return rows.map(({ leaf }, at) => ({ index: indexes[at]!, leaf, openings: openings.get(indexes[at]!) ?? [] }))
}

export async function findEntry(
  em: EntityManager,
  entry: { index: number } | { eventId: string },
  readable: Readable,
): Promise<EntryRow | undefined> {
  const condition = 'index' in entry ? sql`index = ${entry.index}` : sql`event_id = ${entry.eventId}::uuid`
  const { rows } = await sql<{ index: string; leaf: Buffer }>`
    select index, leaf from entry where ${condition} and ${isReadable(readable)}`.execute(em.getKysely())
  return (await open(em, rows))[0]
}

export async function findIndex(em: EntityManager, eventId: string, readable: Readable): Promise<number | undefined> {
  const { rows } = await sql<{ index: string }>`
    select index from entry where event_id = ${eventId}::uuid and ${isReadable(readable)}`.execute(em.getKysely())
  return rows[0] && Number(rows[0].index)
}

function isReadable(readable: Readable): RawBuilder<unknown> {
  return sql`(${readable === 'all'} or namespace = any(${readable === 'all' ? [] : readable}::text[]))`
}

/** Entries from `from` on and below `below`, as many as fit one answer. */
export async function readLeaves(
  em: EntityManager,
  from: number,
  below: number,
  signal: AbortSignal,
): Promise<(EntryRow & { leafHash: Buffer })[]> {
  const { rows } = await sql<{ index: string; leaf: Buffer; leaf_hash: Buffer }>`
    select index, leaf, leaf_hash from (
      select index, leaf, leaf_hash, sum(octet_length(leaf) + private_bytes) over (order by index) as bytes from (
        select index, leaf, leaf_hash, private_bytes from entry where index >= ${from} and index < ${below}
          order by index limit ${LEAVES_AT_ONCE}) as wanted
    ) as measured where bytes <= ${MAX_LEAF_BYTES} order by index`.execute(em.getKysely(), {
    signal,
    inflightQueryAbortStrategy: 'cancel query',
  })
  const entries = await open(em, rows)
  return entries.map((entry, at) => ({ ...entry, leafHash: rows[at]!.leaf_hash }))
}

/** `count` entries from `from` on. */
export async function readBundle(em: EntityManager, from: number, count: number): Promise<Buffer[]> {
  const { rows } = await sql<{ leaf: Buffer }>`
    select leaf from entry where index >= ${from} and index < ${from + count} order by index`.execute(em.getKysely())
  return rows.map(({ leaf }) => leaf)
}

/** Several namespaces are read one by one, each along its index, and merged: in one condition they would be gathered
 * and sorted as a whole for every page. */
function selectEntries(query: EntryQuery, order: RawBuilder<unknown>): RawBuilder<unknown> {
  const { readable } = query
  if (readable === 'all') return selectWhere(conditions(query), query, order)
  if (readable.length === 1) {
    return selectWhere([sql<boolean>`namespace = ${readable[0]}`, ...conditions(query)], query, order)
  }
  const inOne = selectWhere([sql<boolean>`namespace = readable.name`, ...conditions(query)], query, order)
  return sql`select found.index, found.leaf, found.private_bytes from unnest(${readable}::text[]) as readable (name)
    cross join lateral (${inOne}) as found order by found.index ${order} limit ${query.limit}`
}

function selectWhere(where: Condition[], query: EntryQuery, order: RawBuilder<unknown>): RawBuilder<unknown> {
  const condition = where.length === 0 ? sql`true` : sql.join(where, sql` and `)
  return sql`select index, leaf, private_bytes from entry where ${condition} order by index ${order} limit ${query.limit}`
}

function conditions({ from, below, filter }: EntryQuery): Condition[] {
  return [
    ...(from === undefined ? [] : [sql<boolean>`index >= ${from}`]),
    ...(below === undefined ? [] : [sql<boolean>`index < ${below}`]),
    ...(filter === undefined ? [] : [sql<boolean>`(${filter})`]),
  ]
}
