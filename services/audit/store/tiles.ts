// Reading the tree: its head, tiles, and the hashes that proofs are made of.
import { sql } from 'kysely'
import { consistencyParts, HASH_BYTES, inclusionParts, type Node } from '#lib/merkle.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { hashParts, tilesOf, type Tile, type TileName } from '#lib/tiles.ts'

export interface Head {
  size: number
  root: Buffer
}

export async function readHead(em: EntityManager): Promise<Head> {
  const [head] = await em.execute<{ size: string; root: Buffer }[]>('select size, root from log_head')
  return { size: Number(head!.size), root: head!.root }
}

/** The proof that the entry at `index` is in the tree of `size` entries, and the entry's hash. */
export async function proveInclusion(
  em: EntityManager,
  index: number,
  size: number,
): Promise<{ leafHash: Buffer; proof: Buffer[] }> {
  const [leafHash, ...proof] = await readParts(em, [[{ level: 0, index }], ...inclusionParts(index, size)])
  return { leafHash: leafHash!, proof }
}

/** The proof that the tree of `size` entries continues the one of `oldSize`, which is from 1 to `size`. */
export function proveConsistency(em: EntityManager, oldSize: number, size: number): Promise<Buffer[]> {
  return readParts(em, consistencyParts(oldSize, size))
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

async function readParts(em: EntityManager, parts: Node[][]): Promise<Buffer[]> {
  const names = tilesOf(parts)
  const { rows } = await sql<{ level: number; index: string; hashes: Buffer }>`
    select tile.level, tile.index, tile.hashes from tile
    join unnest(${names.map(({ level }) => level)}::int[], ${names.map(({ index }) => index)}::bigint[])
      as wanted (level, index) on tile.level = wanted.level and tile.index = wanted.index`.execute(em.getKysely())
  const tiles: Tile[] = rows.map(({ level, index, hashes }) => ({ level, index: Number(index), hashes }))
  return hashParts(parts, tiles)
}
