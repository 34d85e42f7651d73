// The tree for those who ask for proofs. Tiles that were read are kept in memory, with the hashes of the subtrees over
// theirs, as far as a checkpoint is signed over them: that part never changes. What came after the last checkpoint may be
// lost with a database that fails, and other entries come in its place.
import { consistencyParts, HASH_BYTES, inclusionParts, type Node } from '#lib/tlog/merkle.ts'
import { forkFor, type Database } from '#lib/store/database.ts'
import { foldParts, keyOf, TileTree, tilesOf, widthIn, type TileName } from '#lib/tlog/tiles.ts'
import { findNewestSigned } from './checkpoint.ts'
import { readLogSize } from './read.ts'
import { readTiles } from './tiles.ts'

/** Of 16 KiB each at most. */
const KEPT_TILES = 1024

export class KnownTree {
  readonly #database: Database
  /** Entries that a checkpoint was signed over. */
  #signed = 0
  /** As far as they are signed; what was asked for last is last. */
  readonly #kept = new Map<string, TileTree>()

  constructor(database: Database) {
    this.#database = database
  }

  /** The log's size; or less, but not less than `enough`. */
  async size(enough: number, signal?: AbortSignal): Promise<number> {
    return enough <= this.#signed ? this.#signed : readLogSize(forkFor(this.#database, signal))
  }

  /** The proof that the entry at `index` is in the tree of `size` entries, which the log has, and the entry's hash. */
  async proveInclusion(
    index: number,
    size: number,
    signal?: AbortSignal,
  ): Promise<{ leafHash: Buffer; proof: Buffer[] }> {
    const parts = [[{ level: 0, index }], ...inclusionParts(index, size)]
    const [leafHash, ...proof] = await this.#hash(parts, size, signal)
    return { leafHash: leafHash!, proof }
  }

  /** The proof that the tree of `size` entries, which the log has, continues the one of `oldSize`, which is from 1 to
   * `size`. */
  proveConsistency(oldSize: number, size: number, signal?: AbortSignal): Promise<Buffer[]> {
    return this.#hash(consistencyParts(oldSize, size), size, signal)
  }

  async #hash(parts: Node[][], size: number, signal: AbortSignal | undefined): Promise<Buffer[]> {
    const trees = new Map<string, TileTree>()
    const lacking: TileName[] = []
    for (const name of tilesOf(parts)) {
      const tree = this.#find(name)
      if (tree && tree.width >= widthIn(size, name)) trees.set(keyOf(name), tree)
      else lacking.push(name)
    }
    if (lacking.length > 0) {
      for (const [key, tree] of await this.#read(lacking, size, signal)) trees.set(key, tree)
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
      this.#keep(keyOf(name), tree)
      return [keyOf(name), tree]
    })
  }

  #find(name: TileName): TileTree | undefined {
    const key = keyOf(name)
    const tree = this.#kept.get(key)
    if (tree) this.#keep(key, tree)
    return tree
  }

  #keep(key: string, tree: TileTree): void {
    this.#kept.delete(key)
    this.#kept.set(key, tree)
    if (this.#kept.size <= KEPT_TILES) return
    const [oldest] = this.#kept.keys()
    this.#kept.delete(oldest!)
  }
}
