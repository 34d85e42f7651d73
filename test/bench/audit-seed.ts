// Fills a log to a size: the database generates the rows that appends would write, and the tree over them grows as in appends.
// The benchmark does not measure this.
import { statfs } from 'node:fs/promises'
import { sql } from 'kysely'
import { HASH_BYTES, rootOf, type Range } from '#lib/tlog/merkle.ts'
import { forkFor, inTransaction, type Database } from '#lib/store/database.ts'
import { growTree } from '#lib/tlog/tiles.ts'
import { lockLog } from '../../services/audit/store/log/append.ts'

const AT_ONCE = 100_000
const PRODUCER = 'seed'

/** The size includes indexes and the write-ahead log. */
const ENTRY_BYTES = 1_000
const WAL_BYTES = 1_500_000_000

export async function requireRoom(directory: string, count: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory)
  const wanted = count * ENTRY_BYTES + WAL_BYTES
  if (bavail * bsize < wanted) throw new Error(`${count} more entries need ${Math.ceil(wanted / 1e9)} GB on the disk`)
}

/** Adds small entries of an extra producer up to `size`, and checks once that the tree matches the rows. */
export async function seedTo(database: Database, size: number): Promise<void> {
  const began = performance.now()
  await fillTo(database, size)
  await requireSound(database)
  console.log(`filled up to ${size} entries in ${((performance.now() - began) / 1000).toFixed(0)} s`)
}

/** Does the same without the check and without output. */
export async function fillTo(database: Database, size: number): Promise<void> {
  let reached = 0
  while (reached < size) reached = await seedSome(database, size)
}

async function seedSome(database: Database, size: number): Promise<number> {
  return inTransaction(database, undefined, async (em) => {
    const log = await lockLog(em, PRODUCER)
    const count = Math.min(AT_ONCE, size - log.size)
    if (count <= 0) return size
    const { rows } = await sql<{ hashes: Buffer }>`
      with made as (
        select ${log.size}::bigint + at - 1 as index, ${log.nextSequence}::bigint + at - 1 as sequence, uuidv7() as id,
          'team-' || at % 10 as namespace from generate_series(1, ${count}::int) as at),
      written as (
        select made.*, convert_to('{"event":{"id":"' || id || '","producer":"seed","sequence":"' || sequence
          || '","type":"seed.noted.v1"},"recordTime":"' || ${log.now} || '"}', 'UTF8') as leaf from made),
      hashed as (select written.*, sha256('\\x00'::bytea || leaf) as leaf_hash from written),
      stored as (
        insert into entry (index, event_id, producer, sequence, type, actor, outcome, namespace, resource_type,
          resource_id, resource_name, resource_digest, reason, request_id, occur_time, record_time, leaf, leaf_hash,
          private_bytes)
        select index, id, ${PRODUCER}, sequence, 'seed.noted.v1', 'service:seed', 'SUCCEEDED', namespace, 'seed', id::text,
          namespace || '/' || index, '', '', '', ${log.now}::timestamptz, ${log.now}::timestamptz, leaf, leaf_hash, 0
        from hashed)
      select string_agg(leaf_hash, ''::bytea order by index) as hashes from hashed`.execute(em.getKysely())
    const range: Range = { size: log.size, peaks: [...log.peaks] }
    const tiles = growTree(range, splitHashes(rows[0]!.hashes))
    await sql`
      with head as (update log_head set size = ${range.size}, peaks = ${Buffer.concat(range.peaks)},
          root = ${rootOf(range)}),
        grown as (insert into tile (level, index, hashes)
          select * from unnest(${tiles.map(({ level }) => level)}::int[], ${tiles.map(({ index }) => index)}::bigint[],
            ${tiles.map((tile) => tile.hashes)}::bytea[])
          on conflict (level, index) do update set hashes = tile.hashes || excluded.hashes)
      insert into producer (name, next_sequence) values (${PRODUCER}, ${log.nextSequence + count})
        on conflict (name) do update set next_sequence = excluded.next_sequence`.execute(em.getKysely())
    return range.size
  })
}

/** Computes the root from the hashes of all rows. */
async function requireSound(database: Database): Promise<void> {
  const em = forkFor(database)
  const range: Range = { size: 0, peaks: [] }
  const [head] = await em.execute<{ size: string; root: Buffer }[]>('select size, root from log_head')
  while (range.size < Number(head!.size)) {
    const [row] = await em.execute<{ hashes: Buffer }[]>(
      `select string_agg(sha256('\\x00'::bytea || leaf), ''::bytea order by index) as hashes from entry
        where index >= ${range.size} and index < ${Math.min(range.size + AT_ONCE, Number(head!.size))}`,
    )
    growTree(range, splitHashes(row!.hashes))
  }
  if (!rootOf(range).equals(head!.root)) throw new Error('the seeded log does not have the root of its entries')
}

function splitHashes(hashes: Buffer): Buffer[] {
  return Array.from({ length: hashes.length / HASH_BYTES }, (_, at) =>
    hashes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES),
  )
}
