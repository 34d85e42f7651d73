// Bytes in several buffers, in order. Large buffers stay as they are; small ones, and small views of large buffers, are
// copied together into blocks, so that the memory in use stays near the number of bytes however finely a peer cuts them.
import { BLOCK_BYTES, lend, recycle, seal, takeBlock } from './blocks.ts'

const MIN_VIEW_BYTES = 8 * 1024
/** A view is copied if its buffer is more than this many times larger. */
const MAX_HELD = 4

export class PieceList {
  length = 0
  readonly #minViewBytes: number
  #pieces: Uint8Array[] = []
  #block: Buffer | undefined
  /** Bytes of the block before `start` are in pieces already, those from `start` to `used` are not. */
  #start = 0
  #used = 0

  /** `minViewBytes`: buffers of this size or more stay as they are, because a copy would cost their reader more. */
  constructor(minViewBytes = MIN_VIEW_BYTES) {
    this.#minViewBytes = minViewBytes
  }

  add(bytes: Uint8Array): void {
    this.length += bytes.length
    if (bytes.length >= this.#minViewBytes && bytes.buffer.byteLength <= MAX_HELD * bytes.length) {
      this.#cut()
      this.#pieces.push(bytes)
      return
    }
    for (let rest = bytes; rest.length > 0;) rest = this.#gather(rest)
    recycle(bytes)
  }

  /** Removes and returns the pieces that later bytes will not be copied into. */
  takeFull(): Uint8Array[] {
    const pieces = this.#pieces
    this.#pieces = []
    this.length -= pieces.reduce((sum, { length }) => sum + length, 0)
    return pieces
  }

  /** Removes and returns all bytes. */
  take(): Uint8Array[] {
    this.#cut()
    const pieces = this.#pieces
    this.#pieces = []
    this.length = 0
    return pieces
  }

  /** Completes the last piece: nothing more will be added. */
  end(): void {
    this.#cut()
    if (this.#block) seal(this.#block)
    this.#block = undefined
    this.#start = this.#used = 0
  }

  /** Copies bytes into the block, and returns those that did not fit. */
  #gather(bytes: Uint8Array): Uint8Array {
    this.#block ??= takeBlock()
    const taken = bytes.subarray(0, BLOCK_BYTES - this.#used)
    this.#block.set(taken, this.#used)
    this.#used += taken.length
    if (this.#used === BLOCK_BYTES) this.end()
    return bytes.subarray(taken.length)
  }

  #cut(): void {
    if (this.#used === this.#start) return
    this.#pieces.push(lend(this.#block!, this.#start, this.#used))
    this.#start = this.#used
  }
}
