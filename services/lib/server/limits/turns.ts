// Work of many holders that takes turns: little of it runs at a time, and a holder with much does not delay one with little.

export class Turns {
  readonly #width: number
  readonly #waiting = new Map<string, (() => void)[]>()
  #running = 0

  /** `width`: how much may run at a time. */
  constructor(width: number) {
    this.#width = width
  }

  /** Runs the work when its turn comes. */
  async run<T>(holder: string, work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#width) this.#running += 1
    else await this.#wait(holder)
    try {
      return await work()
    } finally {
      this.#passOn()
    }
  }

  #wait(holder: string): Promise<void> {
    return new Promise((resolve) => {
      const queue = this.#waiting.get(holder)
      if (queue) queue.push(resolve)
      else this.#waiting.set(holder, [resolve])
    })
  }

  /** Gives the place to the holder that has waited longest for a turn. */
  #passOn(): void {
    const [next] = this.#waiting
    if (!next) {
      this.#running -= 1
      return
    }
    const [holder, queue] = next
    const begin = queue.shift()!
    this.#waiting.delete(holder)
    if (queue.length > 0) this.#waiting.set(holder, queue)
    // Other work of the process comes in between.
    setImmediate(begin)
  }
}
