// A round-robin scheduler: little work runs at a time, and a holder with much work does not delay a holder with little.

export class FairScheduler {
  readonly #width: number
  readonly #waiting = new Map<string, (() => void)[]>()
  #running = 0

  /** `width` is the number of pieces of work that may run at a time. */
  constructor(width: number) {
    this.#width = width
  }

  /** Waits until the holder is scheduled, and runs the work. */
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

  /** Assigns the slot to the holder that was scheduled least recently. */
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
    // The event loop handles other work first.
    setImmediate(begin)
  }
}
