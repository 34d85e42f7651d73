// The bytes of one part as they came.
import { createHash } from 'node:crypto'
import { PieceList } from '#lib/byte-streams/piece-list.ts'

/** An HTTP/2 frame is 16 KiB: a thousand writes of these to the store cost more than the copies into fewer. */
export const KEPT_BYTES = 64 * 1024

export class PartBuffer {
  readonly #hash = createHash('sha256')
  readonly #pieces = new PieceList(KEPT_BYTES)

  get length(): number {
    return this.#pieces.length
  }

  add(chunk: Uint8Array): void {
    this.#hash.update(chunk)
    this.#pieces.add(chunk)
  }

  /** Call once, when all is there. */
  finish(): { chunks: Uint8Array[]; length: number; sha256: Buffer } {
    const { length } = this.#pieces
    this.#pieces.end()
    return { chunks: this.#pieces.take(), length, sha256: this.#hash.digest() }
  }
}
