// Batches jobs: those that arrive while a batch runs form the next one. A job that arrives alone runs at once.
import { SERVICE_WORK } from './fair-queue.ts'
import { runFor } from './principal.ts'

interface Waiting<J, R> {
  job: J
  resolve: (result: R) => void
  reject: (error: unknown) => void
}

export interface BatcherOptions<J, R> {
  /** Runs a batch. Returns the results in the order of the jobs; where it rejects, no job was done. */
  work: (jobs: J[]) => Promise<R[]>
  /** Most jobs in one batch. */
  maxJobs: number
  /** Whether an error of the batch may come from a single job, so that each job is retried alone. */
  isJobError: (error: unknown) => boolean
  /** A smaller batch waits up to `gatherMs` for more jobs, because it costs about as much as a larger one. Called when a
   * batch ends and whenever a job arrives. Default 1. */
  minJobs?: () => number
  /** Default 10. */
  gatherMs?: number
  /** The holder that waits for a job. If more jobs wait than a batch has, holders are served round-robin. Default: one holder
   * for all. */
  holderOf?: (job: J) => string
}

export class Batcher<J, R> {
  readonly #options: BatcherOptions<J, R>
  #waiting: Waiting<J, R>[] = []
  #busy = false
  #onMore = (): void => {}

  constructor(options: BatcherOptions<J, R>) {
    this.#options = options
  }

  submit(job: J): Promise<R> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, resolve, reject })
      // A batch has jobs of several principals.
      if (!this.#busy) void runFor(SERVICE_WORK, () => this.#drain())
      else this.#onMore()
    })
  }

  /** Evaluates `minJobs` again; call it when its value may have fallen. */
  recheck(): void {
    this.#onMore()
  }

  async #drain(): Promise<void> {
    this.#busy = true
    while (this.#waiting.length > 0) {
      if (!this.#isEnough()) await this.#gather()
      await this.#run(this.#take())
    }
    this.#busy = false
  }

  /** Takes the jobs of the next batch: the first of each holder, then the second of each, and so on. */
  #take(): Waiting<J, R>[] {
    const { maxJobs, holderOf } = this.#options
    if (!holderOf || this.#waiting.length <= maxJobs) return this.#waiting.splice(0, maxJobs)
    const queues = [...Map.groupBy(this.#waiting, ({ job }) => holderOf(job)).values()]
    const batch = new Set<Waiting<J, R>>()
    for (let turn = 0; batch.size < maxJobs; turn += 1) {
      for (const waiting of queues.flatMap((queue) => queue[turn] ?? [])) if (batch.size < maxJobs) batch.add(waiting)
    }
    this.#waiting = this.#waiting.filter((waiting) => !batch.has(waiting))
    return [...batch]
  }

  #isEnough(): boolean {
    const { maxJobs, minJobs = () => 1 } = this.#options
    return this.#waiting.length >= Math.min(maxJobs, minJobs())
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

  async #run(batch: Waiting<J, R>[]): Promise<void> {
    try {
      const results = await this.#options.work(batch.map(({ job }) => job))
      for (const [index, { resolve }] of batch.entries()) resolve(results[index]!)
    } catch (error) {
      if (batch.length > 1 && this.#options.isJobError(error)) {
        for (const one of batch) await this.#run([one])
      } else {
        for (const { reject } of batch) reject(error)
      }
    }
  }
}
