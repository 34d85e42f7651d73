// The Merkle tree for proofs, with a cache of tiles and of the subtree hashes above them. Only the part under a signed
// checkpoint is cached, because it never changes. Entries after the last checkpoint can be lost when the database fails,
// and others can take their place.
import { consistencyParts, HASH_BYTES, inclusionParts, type Node } from '#lib/tlog/merkle.ts'
import { forkFor, type Database } from '#lib/store/database.ts'
import { foldParts, keyOf, TileTree, tilesOf, widthIn, type TileName } from '#lib/tlog/tiles.ts'
import { findNewestSigned } from './checkpoints.ts'
import { readLogSize } from '../log/log-head.ts'
import { readTiles } from './tiles.ts'

/** Each takes up to 16 KiB. */
const CACHED_TILES = 1024

export class KnownTree {
  readonly #database: Database
  /** Size of the largest signed checkpoint known. */
  #signed = 0
  /** The least recently used tile comes first. */
  readonly #cache = new Map<string, TileTree>()

  constructor(database: Database) {
    this.#database = database
  }

  /** Returns the size of the log or, without reading it, a smaller size that is at least `enough`. */
  async size(enough: number, signal?: AbortSignal): Promise<number> {
    return enough <= this.#signed ? this.#signed : readLogSize(forkFor(this.#database, signal))
  }

  /** Returns the leaf hash of the entry at `index`, and the proof that it is in the tree of `size` entries. The log must
   * have that many. */
  async proveInclusion(
    index: number,
    size: number,
    signal?: AbortSignal,
  ): Promise<{ leafHash: Buffer; proof: Buffer[] }> {
    const parts = [[{ level: 0, index }], ...inclusionParts(index, size)]
    const [leafHash, ...proof] = await this.#hash(parts, size, signal)
    return { leafHash: leafHash!, proof }
  }

  /** Returns the proof that the tree of `size` entries extends the one of `oldSize` entries, which is from 1 to `size`.
   * The log must have `size` entries. */
  proveConsistency(oldSize: number, size: number, signal?: AbortSignal): Promise<Buffer[]> {
    return this.#hash(consistencyParts(oldSize, size), size, signal)
  }

  async #hash(parts: Node[][], size: number, signal: AbortSignal | undefined): Promise<Buffer[]> {
    const trees = new Map<string, TileTree>()
    const missing: TileName[] = []
    for (const name of tilesOf(parts)) {
      const tree = this.#find(name)
      if (tree && tree.width >= widthIn(size, name)) trees.set(keyOf(name), tree)
      else missing.push(name)
    }
    if (missing.length > 0) {
      for (const [key, tree] of await this.#read(missing, size, signal)) trees.set(key, tree)
    }
    return foldParts(parts, (name) => trees.get(keyOf(name)))
  }

  async #read(names: TileName[], size: number, signal: AbortSignal | undefined): Promise<[string, TileTree][]> {
    const em = forkFor(this.#database, signal)
    const newest = size > this.#signed ? await findNewestSigned(em) : undefined
    const signed = (this.#signed = Math.max(this.#signed, newest?.size ?? 0))
    const tiles = await readTiles(em, names)
    return tiles.map(({ hashes, ...name }) => {
      if (size > signed) return [keyOf(name), new TileTree(hashes)]
      const tree = new TileTree(hashes.subarray(0, widthIn(signed, name) * HASH_BYTES))
      this.#store(keyOf(name), tree)
      return [keyOf(name), tree]
    })
  }

  #find(name: TileName): TileTree | undefined {
    const key = keyOf(name)
    const tree = this.#cache.get(key)
    if (tree) this.#store(key, tree)
    return tree
  }

  #store(key: string, tree: TileTree): void {
    this.#cache.delete(key)
    this.#cache.set(key, tree)
    if (this.#cache.size <= CACHED_TILES) return
    const [oldest] = this.#cache.keys()
    this.#cache.delete(oldest!)
  }
}
