// Writing the log: under the lock of its head row, so that indexes are contiguous and follow commit order, whatever
// the number of replicas.
import { sql } from 'kysely'
import { hashLeaf, HASH_BYTES, rootOf, type Range } from '#lib/tlog/merkle.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { fromTimestamp } from '#lib/store/time.ts'
import { sealEvent, type NewEvent, type StoredEvent } from '../domain/event.ts'
import type { Opening } from '../domain/private.ts'
import { insertOpenings, readOpenings } from './private.ts'
import { growTree } from '#lib/tlog/tiles.ts'

/** The log, as its locked head row says. */
export interface LockedLog {
  size: number
  /** What of the tree is needed to add to it. */
  peaks: Buffer[]
  producer: string
  /** What the producer is to send next. */
  nextSequence: number
  /** RFC 3339 with microseconds: by the database's clock, but never before the last entry's. */
  now: string
  /** By the database's clock alone. */
  clock: string
  /** When the producer's last event occurred. */
  lastOccurTime: string | null
}

/** As a leaf has it. */
const rfc3339 = (time: string): string => `to_char(${time} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`

export async function lockLog(em: EntityManager, producer: string): Promise<LockedLog> {
  const [head] = await em.execute<{ size: string; peaks: Buffer }[]>('select size, peaks from log_head for update')
  // A statement of its own: it must see what the holder of the lock before has committed.
  const [row] = await em.execute<Turn[]>(
    `select coalesce(next_sequence, 1) as next_sequence, ${rfc3339('greatest(clock, recorded)')} as now,
        ${rfc3339('clock')} as clock, ${rfc3339('occur_time')} as last_occur_time
      from (select clock_timestamp() as clock,
          (select record_time from entry where index = ?::bigint - 1) as recorded) as times
        left join producer on name = ?
        left join entry on entry.producer = name and entry.sequence = next_sequence - 1`,
    [head!.size, producer],
  )
  const { size, peaks } = head!
  return {
    size: Number(size),
    peaks: splitHashes(peaks),
    producer,
    nextSequence: Number(row!.next_sequence),
    now: row!.now,
    clock: row!.clock,
    lastOccurTime: row!.last_occur_time,
  }
}

interface Turn {
  next_sequence: string
  now: string
  clock: string
  last_occur_time: string | null
}

function splitHashes(hashes: Buffer): Buffer[] {
  const count = hashes.length / HASH_BYTES
  return Array.from({ length: count }, (_, at) => hashes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES))
}

export async function findStored(em: EntityManager, ids: string[]): Promise<Map<string, StoredEvent>> {
  const { rows } = await sql<{ event_id: string; index: string; leaf: Buffer }>`
    select event_id, index, leaf from entry where event_id = any(${ids}::uuid[])`.execute(em.getKysely())
  const openings = await readOpenings(
    em,
    rows.map(({ index }) => Number(index)),
  )
  return new Map(
    rows.map(({ event_id: id, index, leaf }) => {
      return [id, { index: Number(index), leaf, openings: openings.get(Number(index)) ?? [] }]
    }),
  )
}

/** Adds the producer's next events, and their hashes to the tree; the first one's index is the log's size so far. */
export async function appendToLog(em: EntityManager, log: LockedLog, events: NewEvent[]): Promise<void> {
  const sealed = events.map((event) => sealEvent(event, log.now))
  const leaves = sealed.map(({ leaf }) => leaf)
  const hashes = leaves.map(hashLeaf)
  const openings = sealed.map((event) => event.openings)
  await insertEntries(em, log, { events, leaves, hashes, openings })
  await insertOpenings(
    em,
    log.size,
    events.map(({ retentionClass }, at) => ({ retentionClass, openings: openings[at]! })),
  )
  const range: Range = { size: log.size, peaks: [...log.peaks] }
  const tiles = growTree(range, hashes)
  await sql`
    with head as (update log_head set size = ${range.size}, peaks = ${Buffer.concat(range.peaks)},
        root = ${rootOf(range)}),
      grown as (insert into tile (level, index, hashes)
        select * from unnest(${tiles.map(({ level }) => level)}::int[], ${tiles.map(({ index }) => index)}::bigint[],
          ${tiles.map((tile) => tile.hashes)}::bytea[])
        on conflict (level, index) do update set hashes = tile.hashes || excluded.hashes)
    insert into producer (name, next_sequence) values (${log.producer}, ${log.nextSequence + events.length})
      on conflict (name) do update set next_sequence = excluded.next_sequence`.execute(em.getKysely())
}

interface NewEntries {
  events: NewEvent[]
  leaves: string[]
  hashes: Buffer[]
  openings: Opening[][]
}

async function insertEntries(
  em: EntityManager,
  log: LockedLog,
  { events, leaves, hashes, openings }: NewEntries,
): Promise<void> {
  const privateBytes = openings.map((values) => values.reduce((sum, { value }) => sum + Buffer.byteLength(value), 0))
  const column = <K extends keyof NewEvent>(key: K): NewEvent[K][] => events.map((event) => event[key])
  await sql`
    insert into entry (index, event_id, producer, sequence, type, actor, outcome, namespace, resource_type, resource_id,
      resource_name, resource_digest, reason, request_id, occur_time, record_time, leaf, leaf_hash, private_bytes)
    select ${log.size}::bigint + position - 1, event_id, ${log.producer}, sequence, type, actor, outcome, namespace,
      resource_type, resource_id, resource_name, resource_digest, '', request_id, occur_time,
      ${log.now}::timestamptz, convert_to(leaf, 'UTF8'), leaf_hash, private_bytes
    from unnest(${column('id')}::uuid[], ${column('sequence')}::bigint[], ${column('type')}::text[],
      ${column('actor')}::text[], ${column('outcome')}::text[], ${column('namespace')}::text[],
      ${column('resourceType')}::text[], ${column('resourceId')}::text[], ${column('resourceName')}::text[],
      ${column('resourceDigest')}::text[], ${column('requestId')}::text[],
      ${events.map(({ occurTime }) => fromTimestamp(occurTime))}::timestamptz[], ${leaves}::text[], ${hashes}::bytea[], ${privateBytes}::int[])
      with ordinality as fresh (event_id, sequence, type, actor, outcome, namespace, resource_type, resource_id,
        resource_name, resource_digest, request_id, occur_time, leaf, leaf_hash, private_bytes, position)`.execute(
    em.getKysely(),
  )
}
