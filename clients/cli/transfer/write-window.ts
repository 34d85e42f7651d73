// How much may wait to be written: much where it goes fast, so that the line is never idle; little where it goes slowly,
// because what waits together is reported together, and progress must show before it counts as a stall.

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

  /** Returns what must be called when the bytes have been written. */
  take(bytes: number): () => void {
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
