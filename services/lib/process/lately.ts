// What happened lately, by key: forgotten after a time, or before it where there is too much to remember.

interface Options<T> {
  forgetMs: number
  /** How many are remembered; beyond it, what is oldest is forgotten. */
  most: number
  onForgotten?: (key: string, value: T) => void
}

export class Lately<T> {
  readonly #options: Options<T>
  /** The oldest first. */
  readonly #known = new Map<string, { value: T; until: number }>()

  constructor(options: Options<T>) {
    this.#options = options
  }

  get(key: string): T | undefined {
    this.forget()
    return this.#known.get(key)?.value
  }

  set(key: string, value: T): void {
    this.forget(this.#options.most - 1)
    this.#known.set(key, { value, until: performance.now() + this.#options.forgetMs })
  }

  delete(key: string): void {
    this.#known.delete(key)
  }

  /** What is over, and what is more than `most`. */
  forget(most = this.#options.most): void {
    for (const [key, { value, until }] of this.#known) {
      if (until > performance.now() && this.#known.size <= most) return
      this.#known.delete(key)
      this.#options.onForgotten?.(key, value)
    }
  }
}
