// Does in one go what several ask for at once: what comes while one go is under way waits for the next. Who comes alone
// does not wait.
interface Waiting<J, R> {
  job: J
  resolve: (result: R) => void
  reject: (error: unknown) => void
}

export interface BatcherOptions<J, R> {
  /** Results in the order of the jobs. All are done, or it rejects and none is. */
  work: (jobs: J[]) => Promise<R[]>
  /** Jobs in one go. */
  most: number
  /** Whether a failure may be that of one job, so that each is to be tried alone. */
  isOfOne: (error: unknown) => boolean
  /** A go with fewer waits a moment for more, since it costs about as much as a few jobs in it. Asked when a go ends, and
   * whenever a job comes. Default 1. */
  enough?: () => number
  /** How long it waits. Default 10. */
  gatherMs?: number
}

export class Batcher<J, R> {
  readonly #options: BatcherOptions<J, R>
  readonly #waiting: Waiting<J, R>[] = []
  #busy = false
  #onMore = (): void => {}

  constructor(options: BatcherOptions<J, R>) {
    this.#options = options
  }

  do(job: J): Promise<R> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, resolve, reject })
      if (!this.#busy) void this.#workOff()
      else this.#onMore()
    })
  }

  /** To be called when fewer may be enough than before. */
  look(): void {
    this.#onMore()
  }

  async #workOff(): Promise<void> {
    this.#busy = true
    while (this.#waiting.length > 0) {
      if (!this.#isEnough()) await this.#gather()
      await this.#doTogether(this.#waiting.splice(0, this.#options.most))
    }
    this.#busy = false
  }

  #isEnough(): boolean {
    const { most, enough = () => 1 } = this.#options
    return this.#waiting.length >= Math.min(most, enough())
  }

  async #gather(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, this.#options.gatherMs ?? 10)
    this.#onMore = () => {
      if (this.#isEnough()) resolve()
    }
    await promise
    this.#onMore = () => {}
    clearTimeout(timer)
  }

  async #doTogether(group: Waiting<J, R>[]): Promise<void> {
    try {
      const results = await this.#options.work(group.map(({ job }) => job))
      for (const [index, { resolve }] of group.entries()) resolve(results[index]!)
    } catch (error) {
      if (group.length > 1 && this.#options.isOfOne(error)) {
        for (const one of group) await this.#doTogether([one])
      } else {
        for (const { reject } of group) reject(error)
      }
    }
  }
}
