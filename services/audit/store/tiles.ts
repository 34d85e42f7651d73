// Reading the tree as it is stored: its head, tiles, and the hashes that a proof is made of.
import { sql } from 'kysely'
import { consistencyParts, HASH_BYTES } from '#lib/tlog/merkle.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { hashParts, tilesOf, type Tile, type TileName } from '#lib/tlog/tiles.ts'

export interface Head {
  size: number
  root: Buffer
}

export async function readHead(em: EntityManager): Promise<Head> {
  const [head] = await em.execute<{ size: string; root: Buffer }[]>('select size, root from log_head')
  return { size: Number(head!.size), root: head!.root }
}

/** The proof that the tree of `size` entries continues the one of `oldSize`, which is from 1 to `size`. */
export async function proveConsistency(em: EntityManager, oldSize: number, size: number): Promise<Buffer[]> {
  const parts = consistencyParts(oldSize, size)
  return hashParts(parts, await readTiles(em, tilesOf(parts)))
}

/** The first `width` hashes of a tile; undefined where it does not have as many. */
export async function findTile(
  em: EntityManager,
  { level, index }: TileName,
  width: number,
): Promise<Buffer | undefined> {
  const bytes = width * HASH_BYTES
  const { rows } = await sql<{ hashes: Buffer }>`
    select substring(hashes for ${bytes}) as hashes from tile
    where level = ${level} and index = ${index} and octet_length(hashes) >= ${bytes}`.execute(em.getKysely())
  return rows[0]?.hashes
}

/** Those that there are. */
export async function readTiles(em: EntityManager, names: TileName[]): Promise<Tile[]> {
  if (names.length === 0) return []
  // Planned anew each time: as a join, that takes longer than the reading.
  const { rows } = await sql<{ level: number; index: string; hashes: Buffer }>`
    select level, index, hashes from tile
    where (level, index) in (${sql.join(names.map(({ level, index }) => sql`(${level}, ${index})`))})`.execute(
    em.getKysely(),
  )
  return rows.map(({ level, index, hashes }) => ({ level, index: Number(index), hashes }))
}
