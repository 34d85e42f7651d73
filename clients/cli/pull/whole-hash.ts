// Hashes a file whose parts arrive in any order. A part is read back, usually from the page cache, once all parts before it
// have arrived.
import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import type { FilePart } from './parts.ts'

const READ_BYTES = 1024 * 1024

export class WholeHash {
  readonly #handle: FileHandle
  readonly #hash = createHash('sha256')
  readonly #arrived = new Map<number, FilePart>()
  #next = 0
  #reading: Promise<void> = Promise.resolve()
  #failure: unknown

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  add(part: FilePart): void {
    this.#arrived.set(part.index, part)
    this.#reading = this.#reading.then(() => this.#readNext())
  }

  /** Must be called after all parts have arrived. */
  async digest(): Promise<string> {
    await this.#reading
    if (this.#failure) throw this.#failure
    return `sha256:${this.#hash.digest('hex')}`
  }

  async #readNext(): Promise<void> {
    try {
      for (let part = this.#take(); part; part = this.#take()) await this.#read(part)
    } catch (error) {
      this.#failure = error
    }
  }

  #take(): FilePart | undefined {
    const part = this.#arrived.get(this.#next)
    if (!part || this.#failure) return undefined
    this.#arrived.delete(this.#next)
    this.#next += 1
    return part
  }

  async #read({ offset, size }: FilePart): Promise<void> {
    const buffer = Buffer.allocUnsafe(READ_BYTES)
    for (let done = 0; done < size;) {
      const { bytesRead } = await this.#handle.read(buffer, 0, Math.min(READ_BYTES, size - done), offset + done)
      if (bytesRead === 0) return
      this.#hash.update(buffer.subarray(0, bytesRead))
      done += bytesRead
    }
  }
}
