// Reading the tree as it is stored: its head, tiles, and the hashes that a proof is made of.
import { sql } from 'kysely'
import { consistencyParts, HASH_BYTES } from '#lib/merkle.ts'
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

/** The proof that the tree of `size` entries continues the one of `oldSize`, which is from 1 to `size`. */
export async function proveConsistency(em: EntityManager, oldSize: number, size: number): Promise<Buffer[]> {
  const parts = consistencyParts(oldSize, size)
  const rows = await readTiles(em, tilesOf(parts))
  return hashParts(parts, rows)
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

/** Those that there are; with each, how many entries a checkpoint is signed over. */
export async function readTiles(em: EntityManager, names: TileName[]): Promise<(Tile & { signed: number })[]> {
  const { rows } = await sql<{ level: number; index: string; hashes: Buffer; signed: string }>`
    select tile.level, tile.index, tile.hashes, (select coalesce(max(size), 0) from checkpoint) as signed
    from tile join unnest(${names.map(({ level }) => level)}::int[], ${names.map(({ index }) => index)}::bigint[])
      as wanted (level, index) on tile.level = wanted.level and tile.index = wanted.index`.execute(em.getKysely())
  return rows.map((row) => ({ ...row, index: Number(row.index), signed: Number(row.signed) }))
}
