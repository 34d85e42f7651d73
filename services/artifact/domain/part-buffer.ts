// The bytes of one part as they came. Large chunks are kept as they are; small ones are gathered, so that the memory
// held stays near the bytes held however finely a client cuts them.
import { createHash } from 'node:crypto'

const BLOCK_BYTES = 64 * 1024

export class PartBuffer {
  readonly chunks: Uint8Array[] = []
  readonly #hash = createHash('sha256')
  #length = 0
  #block: Buffer | undefined
  #used = 0

  get length(): number {
    return this.#length
  }

  add(chunk: Uint8Array): void {
    this.#hash.update(chunk)
    this.#length += chunk.length
    let rest = chunk
    while (rest.length > 0 && (this.#block || rest.length < BLOCK_BYTES)) rest = this.#gather(rest)
    if (rest.length > 0) this.chunks.push(rest)
  }

  /** Call once, when all is there. */
  finish(): { chunks: Uint8Array[]; length: number; sha256: Buffer } {
    if (this.#block) this.chunks.push(this.#block.subarray(0, this.#used))
    return { chunks: this.chunks, length: this.#length, sha256: this.#hash.digest() }
  }

  /** Fills the open block and returns what did not fit. */
  #gather(bytes: Uint8Array): Uint8Array {
    this.#block ??= Buffer.allocUnsafeSlow(BLOCK_BYTES)
    const taken = Math.min(bytes.length, BLOCK_BYTES - this.#used)
    this.#block.set(bytes.subarray(0, taken), this.#used)
    this.#used += taken
    if (this.#used === BLOCK_BYTES) {
      this.chunks.push(this.#block)
      this.#block = undefined
      this.#used = 0
    }
    return bytes.subarray(taken)
  }
}
