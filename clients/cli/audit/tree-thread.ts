// The tree of a large export is grown by a thread of its own, while the caller reads on.
import { Worker } from 'node:worker_threads'
import type { Grower, Grown } from './leaf-tree.ts'
import { Tampered } from './verdict.ts'

/** Leaves on their way to the thread. */
export interface Batch {
  /** Each hash, as text, and its leaf, one after the other. */
  bytes: Buffer
  /** Of each leaf. */
  lengths: number[]
  /** On which line each is. */
  lines: number[]
}

/** What the thread answers to a batch. */
export interface Answer {
  /** Where a leaf does not have its hash. */
  wrong?: string | undefined
  grown?: Grown
}

const BATCH_BYTES = 256 * 1024
const BATCHES_AHEAD = 8
/** As long as a hash is in base64. */
export const HASH_TEXT = 44

export class TreeThread implements Grower {
  readonly #worker: Worker
  #batch = emptyBatch()
  #used = 0
  #open = 0
  #wrong: string | undefined
  #grown: Grown | undefined
  #failure: Error | undefined
  #onAnswer = (): void => undefined

  constructor(oldSize: number | undefined) {
    this.#worker = new Worker(new URL('tree-thread-worker.ts', import.meta.url), { workerData: { oldSize } })
    this.#worker.on('message', ({ wrong, grown }: Answer) => {
      this.#open -= 1
      this.#wrong ??= wrong
      this.#grown = grown
      this.#onAnswer()
    })
    this.#worker.on('error', (error: Error) => {
      this.#failure = error
      this.#onAnswer()
    })
  }

  add(leaf: Uint8Array, hash: string, line: number): void {
    const { bytes, lengths, lines } = this.#batch
    const length = HASH_TEXT + leaf.length
    if (this.#used + length > bytes.length) {
      this.#send()
      // A leaf that is larger than a batch has one of its own size.
      if (length > BATCH_BYTES) this.#batch = { ...emptyBatch(0), bytes: Buffer.alloc(length) }
      return this.add(leaf, hash, line)
    }
    bytes.write(hash, this.#used, 'latin1')
    bytes.set(leaf, this.#used + HASH_TEXT)
    this.#used += length
    lengths.push(leaf.length)
    lines.push(line)
  }

  async keepUp(): Promise<void> {
    await this.#until(BATCHES_AHEAD)
  }

  async settle(): Promise<void> {
    this.#send()
    await this.#until(0)
  }

  async finish(): Promise<Grown> {
    await this.settle()
    this.#post(undefined)
    await this.#until(0)
    if (!this.#grown) throw new Error('the thread has given no tree')
    const { root, oldRoot } = this.#grown
    return { root: Buffer.from(root), oldRoot: oldRoot && Buffer.from(oldRoot) }
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }

  async #until(open: number): Promise<void> {
    for (;;) {
      if (this.#failure) throw this.#failure
      if (this.#wrong !== undefined) throw new Tampered(this.#wrong)
      if (this.#open <= open) return
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#onAnswer = resolve
      await promise
    }
  }

  #send(): void {
    if (this.#used === 0) return
    this.#post(this.#batch)
    this.#batch = emptyBatch()
    this.#used = 0
  }

  #post(batch: Batch | undefined): void {
    this.#open += 1
    this.#worker.postMessage(batch, batch ? [batch.bytes.buffer as ArrayBuffer] : [])
  }
}

function emptyBatch(length = BATCH_BYTES): Batch {
  return { bytes: Buffer.from(new ArrayBuffer(length)), lengths: [], lines: [] }
}
