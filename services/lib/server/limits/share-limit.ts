// Limits the number of open items, such as streams. One holder has at most three quarters of the limit, so that it cannot lock
// out the others.
import { fail } from '../../errors/errors.ts'

const SHARE = 3 / 4

export class ShareLimit {
  readonly #limit: number
  readonly #what: string
  readonly #held = new Map<string, number>()
  #open = 0

  /** `what` is plural and completes an error message, for example `open streams`. */
  constructor(limit: number, what: string) {
    this.#limit = limit
    this.#what = what
  }

  get open(): number {
    return this.#open
  }

  /** Counts one for the holder, and returns the function that releases it. Throws OVERLOADED at the limit of all or at the
   * holder's share. */
  enter(holder: string): () => void {
    const held = this.#held.get(holder) ?? 0
    const share = Math.ceil(this.#limit * SHARE)
    if (this.#open >= this.#limit) fail('OVERLOADED', `the service has too many ${this.#what}; retry later`)
    if (held >= share)
      fail('OVERLOADED', `the caller has too many ${this.#what}; retry later`, { limit: String(share) })
    this.#open += 1
    this.#held.set(holder, held + 1)
    let isOpen = true
    return () => {
      if (isOpen) this.#leave(holder)
      isOpen = false
    }
  }

  /** Counts the work as one. Throws OVERLOADED. */
  async run<T>(holder: string, work: () => Promise<T>): Promise<T> {
    const leave = this.enter(holder)
    try {
      return await work()
    } finally {
      leave()
    }
  }

  /** Counts the iteration as one. Throws OVERLOADED. */
  async *pass<T>(holder: string, open: () => AsyncIterable<T>): AsyncGenerator<T> {
    const leave = this.enter(holder)
    try {
      yield* open()
    } finally {
      leave()
    }
  }

  #leave(holder: string): void {
    const held = this.#held.get(holder)! - 1
    this.#open -= 1
    if (held > 0) this.#held.set(holder, held)
    else this.#held.delete(holder)
  }
}
