// Published checkpoints with their cosignatures. Every proof and every reader of checkpoints needs one.
import { sql, type RawBuilder } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import type { Quorum, StoredCheckpoint } from './checkpoints.ts'
import { query } from '#lib/store/query.ts'

export interface PublishedCheckpoint extends StoredCheckpoint {
  quorum: Quorum
}

export async function findNewestCheckpoint(em: EntityManager): Promise<PublishedCheckpoint | undefined> {
  return findPublished(em, sql`select max(size) from publication`)
}

/** Returns the smallest published checkpoint of at least `size` entries. */
export async function findCheckpointOver(em: EntityManager, size: number): Promise<PublishedCheckpoint | undefined> {
  return findPublished(em, sql`select min(size) from publication where size >= ${size}`)
}

/** MET sorts before UNMET: a quorum that was reached later counts. */
async function findPublished(em: EntityManager, size: RawBuilder<unknown>): Promise<PublishedCheckpoint | undefined> {
  const [row] = await query<Omit<PublishedCheckpoint, 'size'> & { size: string }>(
    em,
    sql`select c.size, c.root, p.quorum, c.note || coalesce((
          select string_agg(line, '' order by cosigner, cosigner_id) from cosignature s
          where s.size = c.size and s.key_id = c.key_id), '') as note
        from (select size, key_id, min(quorum) as quorum from publication where size = (${size})
          group by size, key_id) as p
        join checkpoint c on c.size = p.size and c.key_id = p.key_id
        order by c.sign_time desc limit 1`,
  )
  return row && { ...row, size: Number(row.size) }
}
