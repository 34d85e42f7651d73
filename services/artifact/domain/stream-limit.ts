// Limits the streams of bytes that a process serves at a time.
import { fail } from '#lib/errors/errors.ts'

export class StreamLimit {
  readonly #limit: number
  #open = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get open(): number {
    return this.#open
  }

  /** Counts the work as one stream. Throws OVERLOADED at the limit. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#enter()
    try {
      return await work()
    } finally {
      this.#open -= 1
    }
  }

  /** Counts the iteration as one stream. Throws OVERLOADED at the limit. */
  async *pass<T>(open: () => AsyncIterable<T>): AsyncGenerator<T> {
    this.#enter()
    try {
      yield* open()
    } finally {
      this.#open -= 1
    }
  }

  #enter(): void {
    if (this.#open >= this.#limit) fail('OVERLOADED', 'the service has too many open streams; retry later')
    this.#open += 1
  }
}
