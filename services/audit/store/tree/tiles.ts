// The tiles of the Merkle tree, and the hashes of proofs.
import { sql } from 'kysely'
import { consistencyParts, HASH_BYTES } from '#lib/tlog/merkle.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { hashParts, tilesOf, type Tile, type TileName } from '#lib/tlog/tiles.ts'
import { query } from '#lib/store/query.ts'

/** Returns the proof that the tree of `size` entries extends the one of `oldSize` entries, which is from 1 to `size`. */
export async function proveConsistency(em: EntityManager, oldSize: number, size: number): Promise<Buffer[]> {
  const parts = consistencyParts(oldSize, size)
  return hashParts(parts, await readTiles(em, tilesOf(parts)))
}

/** Returns the first `width` hashes of a tile; undefined where it has fewer. */
export async function findTile(
  em: EntityManager,
  { level, index }: TileName,
  width: number,
): Promise<Buffer | undefined> {
  const bytes = width * HASH_BYTES
  const [tile] = await query<{ hashes: Buffer }>(
    em,
    sql`select substring(hashes for ${bytes}) as hashes from tile
    where level = ${level} and index = ${index} and octet_length(hashes) >= ${bytes}`,
  )
  return tile?.hashes
}

/** Returns the tiles that exist, in any order. */
export async function readTiles(em: EntityManager, names: TileName[]): Promise<Tile[]> {
  if (names.length === 0) return []
  // The statement is planned each time, and planning a join takes longer than reading the tiles.
  const rows = await query<Omit<Tile, 'index'> & { index: string }>(
    em,
    sql`select level, index, hashes from tile
    where (level, index) in (${sql.join(names.map(({ level, index }) => sql`(${level}, ${index})`))})`,
  )
  return rows.map((row) => ({ ...row, index: Number(row.index) }))
}
