// The tree over an export's leaves, each of which must have the hash that stands beside it.
import { appendLeaf, EMPTY_ROOT, hashLeaf, rootOf, type Range } from '#lib/merkle.ts'
import { Tampered } from './verdict.ts'

export interface Grown {
  root: Buffer
  /** The root of the first `oldSize` leaves; undefined where there are not as many. */
  oldRoot: Buffer | undefined
}

/** Where leaves go: to a tree, or to a thread that has one. */
export interface Grower {
  /** `hash`: base64, as the export tells it. `line`: where it is told. */
  add(leaf: Uint8Array, hash: string, line: number): void
  /** Waits where leaves come too fast. */
  keepUp(): Promise<void>
  /** Throws where any leaf so far does not have its hash. */
  settle(): Promise<void>
  finish(): Promise<Grown>
  close(): Promise<void>
}

export class LeafTree implements Grower {
  readonly range: Range = { size: 0, peaks: [] }
  readonly #oldSize: number | undefined
  #oldRoot: Buffer | undefined

  constructor(oldSize: number | undefined) {
    this.#oldSize = oldSize
    if (oldSize === 0) this.#oldRoot = EMPTY_ROOT
  }

  add(leaf: Uint8Array, hash: string): void {
    const own = hashLeaf(leaf)
    if (own.toString('base64') !== hash) {
      throw new Tampered(`entry ${this.range.size} does not have its hash: one of the two was changed`)
    }
    appendLeaf(this.range, own)
    if (this.range.size === this.#oldSize) this.#oldRoot = rootOf(this.range)
  }

  /** What a leaf has wrong was thrown when it came. */
  async keepUp(): Promise<void> {}

  async settle(): Promise<void> {}

  async finish(): Promise<Grown> {
    return { root: rootOf(this.range), oldRoot: this.#oldRoot }
  }

  async close(): Promise<void> {}
}
