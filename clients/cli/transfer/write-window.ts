// The limit of bytes that wait to be written. It is high on a fast connection, so that the connection is never idle, and low on
// a slow one, because progress must be reported before the transfer counts as stalled.

const MIN_BYTES = 256 * 1024
const MAX_BYTES = 4 * 1024 * 1024
const FAST_MS = 100

export class WriteWindow {
  #size = MIN_BYTES
  #waiting = 0
  #wake: () => void = () => {}

  get isFull(): boolean {
    return this.#waiting >= this.#size
  }

  /** Reserves room for bytes. The returned function must be called when they have been written. */
  reserve(bytes: number): () => void {
    const since = performance.now()
    this.#waiting += bytes
    return () => {
      this.#waiting -= bytes
      const isFast = performance.now() - since < FAST_MS
      this.#size = isFast ? Math.min(MAX_BYTES, this.#size * 2) : Math.max(MIN_BYTES, this.#size / 2)
      this.#wake()
    }
  }

  /** Resolves when some bytes have been written. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}
