// Appends to the log, under the lock of its head row: indexes are contiguous and follow the order of commits, with any
// number of replicas.
import { sql } from 'kysely'
import { growTree } from '#lib/tlog/tiles.ts'
import { hashLeaf, HASH_BYTES, rootOf, type Range } from '#lib/tlog/merkle.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { fromTimestamp } from '#lib/store/time.ts'
import { sealEvent, type NewEvent, type StoredEvent } from '../../domain/event.ts'
import type { Opening } from '../../domain/private.ts'
import { insertOpenings, readOpenings } from './openings.ts'
import { query } from '#lib/store/query.ts'

/** The state of the log under its lock. */
export interface LockedLog {
  size: number
  /** The hashes of the complete subtrees, the largest first. */
  peaks: Buffer[]
  producer: string
  /** The sequence of the producer's next event. */
  nextSequence: number
  /** The record time of the next entries, in RFC 3339 with microseconds: the database's time, or that of the last entry
   * where it is later. */
  now: string
  /** The database's time, in RFC 3339. */
  clock: string
  /** When the producer's last event occurred, in RFC 3339. */
  lastOccurTime: string | null
}

/** Formats a time as leaves have it. */
const rfc3339 = (time: string) => sql.raw(`to_char(${time} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`)

/** Locks the log until the end of the transaction. Aborting `signal` cancels the wait for the lock. */
export async function lockLog(em: EntityManager, producer: string, signal?: AbortSignal): Promise<LockedLog> {
  const lock = sql<{ size: string; peaks: Buffer }>`select size, peaks from log_head for update`
  const [head] = await query(em, lock, signal)
  const { size, peaks } = head!
  // A separate statement sees what the previous holder of the lock has committed.
  const [row] = await query<Turn>(
    em,
    sql`select coalesce(next_sequence, 1) as next_sequence, ${rfc3339('greatest(clock, recorded)')} as now,
        ${rfc3339('clock')} as clock, ${rfc3339('occur_time')} as last_occur_time
      from (select clock_timestamp() as clock,
          (select record_time from entry where index = ${size}::bigint - 1) as recorded) as times
        left join producer on name = ${producer}
        left join entry on entry.producer = name and entry.sequence = next_sequence - 1`,
  )
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

/** Returns the events among these that are already recorded, by id. */
export async function findStored(em: EntityManager, ids: string[]): Promise<Map<string, StoredEvent>> {
  const rows = await query<{ event_id: string; index: string; leaf: Buffer }>(
    em,
    sql`select event_id, index, leaf from entry where event_id = any(${ids}::uuid[])`,
  )
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

/** Appends the producer's next events, and their hashes to the tree. The first takes the index `log.size`. */
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
  await query(
    em,
    sql`with head as (update log_head set size = ${range.size}, peaks = ${Buffer.concat(range.peaks)},
        root = ${rootOf(range)}),
      grown as (insert into tile (level, index, hashes)
        select * from unnest(${tiles.map(({ level }) => level)}::int[], ${tiles.map(({ index }) => index)}::bigint[],
          ${tiles.map((tile) => tile.hashes)}::bytea[])
        on conflict (level, index) do update set hashes = tile.hashes || excluded.hashes)
    insert into producer (name, next_sequence) values (${log.producer}, ${log.nextSequence + events.length})
      on conflict (name) do update set next_sequence = excluded.next_sequence`,
  )
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
  await query(
    em,
    sql`insert into entry (index, event_id, producer, sequence, type, actor, outcome, namespace, resource_type, resource_id,
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
        resource_name, resource_digest, request_id, occur_time, leaf, leaf_hash, private_bytes, position)`,
  )
}
