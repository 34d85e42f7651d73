import { createHash } from 'node:crypto'
import type { Chunk } from '#lib/byte-streams/chunk.ts'
import { PieceList } from '#lib/byte-streams/piece-list.ts'
import { MIN_VIEW_BYTES, Part } from './part.ts'

/** Collects and hashes the bytes of a part whose digest the sender did not announce. */
export class PartBuffer {
  readonly #hash = createHash('sha256')
  readonly #list = new PieceList(MIN_VIEW_BYTES)

  get length(): number {
    return this.#list.length
  }

  append(chunk: Chunk): void {
    for (const piece of chunk.pieces) {
      this.#hash.update(piece)
      this.#list.add(piece)
    }
  }

  /** Call it once, after the last `append`. */
  finish(): Part {
    const { length } = this.#list
    this.#list.end()
    return new Part(length, this.#hash.digest(), this.#list.take())
  }
}
