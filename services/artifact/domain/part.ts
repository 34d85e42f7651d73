// The bytes of one part on their way to the store. One writer appends them; any number of readers read them from the first
// byte on, also while they arrive. So the store can send a part while it is received, and send it again after a failure,
// and the running digest can hash it meanwhile.
import { Chunk } from '#lib/byte-streams/chunk.ts'
import { PieceList } from '#lib/byte-streams/piece-list.ts'

/** The smallest size of a view that is not copied. An HTTP/2 frame is 16 KiB: sending each to the store separately costs
 * more than joining them by a copy. */
export const MIN_VIEW_BYTES = 64 * 1024
/** Readers are woken once per this many bytes: waking them for each block costs 7 % more CPU time. */
const WAKE_BYTES = 512 * 1024

export class Part {
  readonly length: number
  readonly sha256: Buffer
  /** Whether `sha256` was computed from the bytes. Otherwise the sender announced it, and the store verifies it. */
  readonly isVerified: boolean
  readonly #list = new PieceList(MIN_VIEW_BYTES)
  #pieces: Uint8Array[] = []
  #received = 0
  #sinceWake = 0
  #failure: { reason: unknown } | undefined
  #isRecycled = false
  #arrival = Promise.withResolvers<void>()

  /** A part that is going to arrive, as its sender announced it; or, with `whole`, one whose bytes and digest are known. */
  constructor(length: number, sha256: Uint8Array, whole?: Uint8Array[]) {
    this.length = length
    this.sha256 = Buffer.from(sha256)
    this.isVerified = whole !== undefined
    if (!whole) return
    this.#pieces = whole
    this.#received = length
  }

  get received(): number {
    return this.#received
  }

  get isComplete(): boolean {
    return this.#received === this.length
  }

  /** Appends bytes: at most as many as are missing. Throws the reason of `abort`. */
  append(chunk: Chunk): void {
    this.throwIfAborted()
    this.#received += chunk.length
    for (const piece of chunk.pieces) this.#list.add(piece)
    if (this.isComplete) this.#list.end()
    const ready = new Chunk(this.#list.takeFull())
    this.#pieces.push(...ready.pieces)
    this.#sinceWake += ready.length
    if (this.isComplete || this.#sinceWake >= WAKE_BYTES) this.#wake()
  }

  /** Ends writer and readers: from now on they throw `reason`. Only the first call counts. */
  abort(reason: unknown): void {
    this.#failure ??= { reason }
    this.#wake()
  }

  throwIfAborted(): void {
    if (this.#failure) throw this.#failure.reason
  }

  /** Reads the part from its first byte: yields the bytes that have arrived since the last chunk, and waits for the missing
   * ones. Can be called several times, before or after the part is complete. Throws the reason of `abort`. */
  async *read(): AsyncGenerator<Chunk> {
    for (let next = 0; ;) {
      this.#requireReadable()
      if (next < this.#pieces.length) {
        const arrived = new Chunk(this.#pieces.slice(next))
        next = this.#pieces.length
        yield arrived
      } else if (this.isComplete) return
      else await this.#arrival.promise
    }
  }

  /** Waits until the part is complete, and returns all of its bytes. Throws the reason of `abort`. */
  async readAll(): Promise<Chunk> {
    while (!this.isComplete && !this.#failure) await this.#arrival.promise
    this.#requireReadable()
    return new Chunk(this.#pieces)
  }

  /** Recycles the memory blocks of the bytes, after the store has them. Reading the part afterwards throws. */
  recycle(): void {
    this.#isRecycled = true
    new Chunk(this.#pieces).recycle()
    this.#pieces = []
  }

  #requireReadable(): void {
    this.throwIfAborted()
    if (this.#isRecycled) throw new Error('the part has been recycled')
  }

  #wake(): void {
    this.#sinceWake = 0
    this.#arrival.resolve()
    this.#arrival = Promise.withResolvers()
  }
}
