// Tiles: the hashes of the tree in the groups of c2sp.org/tlog-tiles. A tile holds up to 256 adjacent hashes of level 0,
// 8, 16 and so on; hashes between those levels are computed from them. Pure; services and clients share it.
import { appendLeaf, foldPeaks, hashNode, HASH_BYTES, type Node, type Range } from './merkle.ts'

export const TILE_WIDTH = 256
const TILE_LEVELS = 8

/** Level and index of a tile. A tile of level 1 has one hash per full tile of level 0. */
export interface TileName {
  level: number
  index: number
}

export interface Tile extends TileName {
  /** The hashes, concatenated. */
  hashes: Buffer
}

/** Appends leaves to the tree, in place; returns the hashes that its tiles gain. */
export function growTree(range: Range, leafHashes: Buffer[]): Tile[] {
  const grown = new Map<string, TileName & { hashes: Buffer[] }>()
  for (const leafHash of leafHashes) {
    appendLeaf(range, leafHash, (node, hash) => {
      if (node.level % TILE_LEVELS !== 0) return
      const name = { level: node.level / TILE_LEVELS, index: Math.floor(node.index / TILE_WIDTH) }
      const tile = grown.get(keyOf(name)) ?? { ...name, hashes: [] }
      tile.hashes.push(hash)
      grown.set(keyOf(name), tile)
    })
  }
  return [...grown.values()].map((tile) => ({ ...tile, hashes: Buffer.concat(tile.hashes) }))
}

/** Returns the names of the tiles from which the hashes of `parts` are computed. */
export function tilesOf(parts: Node[][]): TileName[] {
  const tiles = new Map<string, TileName>()
  for (const node of parts.flat()) {
    const { name } = locate(node)
    tiles.set(keyOf(name), name)
  }
  return [...tiles.values()]
}

/** Returns the hash of each part, from the tiles that `tilesOf` names. Throws if one is missing, which means that the
 * log's tables are inconsistent. */
export function hashParts(parts: Node[][], tiles: Tile[]): Buffer[] {
  const trees = new Map(tiles.map((tile) => [keyOf(tile), new TileTree(tile.hashes)]))
  return foldParts(parts, (name) => trees.get(keyOf(name)))
}

/** Like `hashParts`, with tile trees that were computed before. */
export function foldParts(parts: Node[][], findTree: (name: TileName) => TileTree | undefined): Buffer[] {
  return parts.map((part) => foldPeaks(part.map((node) => hashOf(node, findTree))))
}

function hashOf(node: Node, findTree: (name: TileName) => TileTree | undefined): Buffer {
  const { name, height, at } = locate(node)
  const hash = findTree(name)?.find(height, at)
  if (!hash) throw new Error(`tile ${keyOf(name)} is missing hashes`)
  return hash
}

/** A tile's hashes and those of the complete subtrees above them. It takes twice the memory of the tile. */
export class TileTree {
  /** Hashes by height; the tile's own are first. */
  readonly #rows: Buffer[]

  constructor(hashes: Buffer) {
    const memory = Buffer.allocUnsafeSlow(2 * hashes.length)
    let row: Buffer = memory.subarray(0, hashes.copy(memory))
    this.#rows = [row]
    for (let end = row.length; row.length >= 2 * HASH_BYTES; end += row.length) {
      row = hashPairs(row, memory.subarray(end))
      this.#rows.push(row)
    }
  }

  /** Number of hashes in the tile. */
  get width(): number {
    return this.#rows[0]!.length / HASH_BYTES
  }

  find(height: number, at: number): Buffer | undefined {
    const hash = this.#rows[height]?.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES)
    return hash?.length === HASH_BYTES ? hash : undefined
  }
}

/** Hashes pairs into `memory`; returns the part that it has filled. */
function hashPairs(hashes: Buffer, memory: Buffer): Buffer {
  let end = 0
  for (let at = 0; at + 2 * HASH_BYTES <= hashes.length; at += 2 * HASH_BYTES) {
    const middle = at + HASH_BYTES
    end += hashNode(hashes.subarray(at, middle), hashes.subarray(middle, middle + HASH_BYTES)).copy(memory, end)
  }
  return memory.subarray(0, end)
}

/** Locates a subtree's hash: in the tile `name`, `height` levels above the tile's own hashes, at position `at`. */
function locate({ level, index }: Node): { name: TileName; height: number; at: number } {
  const height = level % TILE_LEVELS
  const width = TILE_WIDTH / 2 ** height
  const name = { level: Math.floor(level / TILE_LEVELS), index: Math.floor(index / width) }
  return { name, height, at: index % width }
}

export function keyOf({ level, index }: TileName): string {
  return `${level}/${index}`
}

export interface TilePath {
  level: number | 'entries'
  index: number
  /** Number of hashes of a partial tile; undefined for a full one. */
  width: number | undefined
}

/** Returns the number of hashes that a tile has in the tree of `size` leaves. */
export function widthIn(size: number, { level, index }: TileName): number {
  return Math.min(TILE_WIDTH, Math.floor(size / TILE_WIDTH ** level) - index * TILE_WIDTH)
}

/** Returns the path of a tile with `width` hashes. */
export function formatTilePath({ level, index }: Omit<TilePath, 'width'>, width: number): string {
  const digits = String(index)
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.{3}/g)!
  const last = groups.pop()!
  const path = [...groups.map((group) => `x${group}`), last].join('/')
  return `/tile/${level}/${path}${width === TILE_WIDTH ? '' : `.p/${width}`}`
}

const PATH = /^\/tile\/(entries|0|[1-9][0-9]?)\/((?:x[0-9]{3}\/){0,4}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/

/** Parses `/tile/<L>/<N>[.p/<W>]`, with N in groups of three digits as `x001/x234/067`; returns undefined for any other
 * path. */
export function findTilePath(path: string): TilePath | undefined {
  const [, level, groups, partial] = PATH.exec(path) ?? []
  if (level === undefined || groups === undefined || groups.startsWith('x000')) return undefined
  const width = partial === undefined ? undefined : Number(partial)
  if (Number(level) > 63 || (width ?? 1) >= TILE_WIDTH) return undefined
  const index = Number(groups.replaceAll(/[x/]/g, ''))
  return { level: level === 'entries' ? level : Number(level), index, width }
}
