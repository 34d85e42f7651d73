// How far the log has been copied to a bucket under object lock.
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { WormCopy } from './entities.ts'
import { query } from '#lib/store/query.ts'

export type WormProgress = Pick<WormCopy, 'tiles' | 'checkpointSize'>

export async function readWormProgress(em: EntityManager, bucket: string): Promise<WormProgress> {
  const copy = await em.findOne(WormCopy, bucket)
  return { tiles: copy?.tiles ?? 0, checkpointSize: copy?.checkpointSize ?? 0 }
}

/** Records the progress of this replica. The recorded numbers never decrease, whichever replica comes last. */
export async function advanceWormProgress(em: EntityManager, bucket: string, progress: WormProgress): Promise<void> {
  await query(
    em,
    sql`insert into worm_copy (bucket, tiles, checkpoint_size)
      values (${bucket}, ${progress.tiles}, ${progress.checkpointSize}) on conflict (bucket) do update set
        tiles = greatest(worm_copy.tiles, excluded.tiles),
        checkpoint_size = greatest(worm_copy.checkpoint_size, excluded.checkpoint_size)`,
  )
}
