// Bytes in several buffers, in order. Large ones are kept as they come; small ones, and small views of large buffers, are
// copied together, so that the memory held stays near the bytes held however finely a peer cuts them.
import { BLOCK_BYTES, giveBack, lend, seal, takeBlock } from './blocks.ts'

const KEPT_BYTES = 8 * 1024
/** A view may hold on to at most so many times its own bytes. */
const MAX_HELD = 4

export class PieceList {
  length = 0
  readonly #keptBytes: number
  #pieces: Uint8Array[] = []
  #block: Buffer | undefined
  /** Of the block: bytes before `start` are in pieces already, those up to `used` are not. */
  #start = 0
  #used = 0

  /** `keptBytes`: from here on, a buffer of its own costs whoever reads the list less than a copy. */
  constructor(keptBytes = KEPT_BYTES) {
    this.#keptBytes = keptBytes
  }

  add(bytes: Uint8Array): void {
    this.length += bytes.length
    if (bytes.length >= this.#keptBytes && bytes.buffer.byteLength <= MAX_HELD * bytes.length) {
      this.#cut()
      this.#pieces.push(bytes)
      return
    }
    for (let rest = bytes; rest.length > 0;) rest = this.#gather(rest)
    giveBack(bytes)
  }

  /** What needs no copy of what is still to be added; that is in the list no more. */
  takeFull(): Uint8Array[] {
    const pieces = this.#pieces
    this.#pieces = []
    this.length -= pieces.reduce((sum, { length }) => sum + length, 0)
    return pieces
  }

  /** All that was added; the list is empty again. */
  take(): Uint8Array[] {
    this.#cut()
    const pieces = this.#pieces
    this.#pieces = []
    this.length = 0
    return pieces
  }

  /** Nothing more will be added. */
  end(): void {
    this.#cut()
    if (this.#block) seal(this.#block)
    this.#block = undefined
    this.#start = this.#used = 0
  }

  /** Returns what did not fit into the block. */
  #gather(bytes: Uint8Array): Uint8Array {
    this.#block ??= takeBlock()
    const taken = bytes.subarray(0, BLOCK_BYTES - this.#used)
    this.#block.set(taken, this.#used)
    this.#used += taken.length
    if (this.#used === BLOCK_BYTES) {
      this.end()
    }
    return bytes.subarray(taken.length)
  }

  #cut(): void {
    if (this.#used === this.#start) return
    this.#pieces.push(lend(this.#block!, this.#start, this.#used))
    this.#start = this.#used
  }
}

export function joinPieces(pieces: Uint8Array[]): Uint8Array {
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
}
