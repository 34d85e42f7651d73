// How far the log has been copied to a bucket that forgets nothing.
import type { EntityManager } from '#lib/store/database.ts'

export interface WormCopy {
  /** Full tiles of level 0, with their entries and the full tiles above them. */
  tiles: number
  /** Of the newest checkpoint that is there. */
  checkpointSize: number
}

export async function readWormCopy(em: EntityManager, bucket: string): Promise<WormCopy> {
  const rows = await em.execute<{ tiles: string; checkpoint_size: string }[]>(
    'select tiles, checkpoint_size from worm_copy where bucket = ?',
    [bucket],
  )
  return { tiles: Number(rows[0]?.tiles ?? 0), checkpointSize: Number(rows[0]?.checkpoint_size ?? 0) }
}

/** Never goes back, whichever of several replicas says how far it came. */
export async function advanceWormCopy(em: EntityManager, bucket: string, copy: WormCopy): Promise<void> {
  await em.execute(
    `insert into worm_copy (bucket, tiles, checkpoint_size) values (?, ?, ?) on conflict (bucket) do update set
      tiles = greatest(worm_copy.tiles, excluded.tiles),
      checkpoint_size = greatest(worm_copy.checkpoint_size, excluded.checkpoint_size)`,
    [bucket, copy.tiles, copy.checkpointSize],
  )
}
