// A bound on the streams of bytes that a process serves at a time.
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

  /** Throws OVERLOADED where there are as many as there may be. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#enter()
    try {
      return await work()
    } finally {
      this.#open -= 1
    }
  }

  /** Throws OVERLOADED where there are as many as there may be. */
  async *pass<T>(open: () => AsyncIterable<T>): AsyncGenerator<T> {
    this.#enter()
    try {
      yield* open()
    } finally {
      this.#open -= 1
    }
  }

  #enter(): void {
    if (this.#open >= this.#limit)
      fail('OVERLOADED', 'the service has too many streams open; wait a moment and try again')
    this.#open += 1
  }
}
