// One thread that evaluates conditions. It is replaced when a request exceeds its budget.
import { on, once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { Outcome } from '../domain/governance/condition.ts'
import type { EvaluationReply, EvaluationRequest, WorkerSettings } from './evaluation-worker.ts'

export interface EvaluationBudget {
  /** CPU time for all conditions of one decision, in milliseconds. */
  cpuMs: number
  /** Limit of the elapsed time of a decision, even if its thread got little CPU time, in milliseconds. */
  elapsedMs: number
  /** Limit of the heap of the thread, and of the strings and bytes that the conditions of a decision create, in MiB. */
  maxMebibytes: number
}

const YOUNG_GENERATION_MIB = 16
const MIN_WAIT_MS = 5

export class EvaluationThread {
  readonly #budget: EvaluationBudget
  #worker: Worker | undefined

  constructor(budget: EvaluationBudget) {
    this.#budget = budget
  }

  /** Returns an outcome for each expression. Expressions beyond the budget fail with an error. */
  async evaluate(request: EvaluationRequest): Promise<Outcome[]> {
    const worker = (this.#worker ??= await this.#start())
    worker.ref()
    const outcomes: Outcome[] = []
    const done = new AbortController()
    const answered = this.#collect(worker, outcomes, done.signal)
    worker.postMessage(request, [])
    const problem = await Promise.race([answered, this.#watchTime(worker, done.signal)])
    done.abort()
    worker.unref()
    if (problem !== undefined) await this.close()
    const missing = request.expressions.slice(outcomes.length)
    return [...outcomes, ...missing.map((): Outcome => ({ outcome: 'ERROR', error: problem ?? '' }))]
  }

  async close(): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    await worker?.terminate()
  }

  async #start(): Promise<Worker> {
    const { maxMebibytes } = this.#budget
    const worker = new Worker(new URL('evaluation-worker.ts', import.meta.url), {
      workerData: { maxBytes: maxMebibytes * 1024 * 1024 } satisfies WorkerSettings,
      resourceLimits: { maxOldGenerationSizeMb: maxMebibytes, maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
    })
    await once(worker, 'message')
    return worker
  }

  /** Collects outcomes until the thread accepts another request. Returns the error of a thread that ended, and undefined
   * otherwise. */
  async #collect(worker: Worker, outcomes: Outcome[], signal: AbortSignal): Promise<string | undefined> {
    try {
      for await (const [reply] of on(worker, 'message', { signal, close: ['exit'] }) as AsyncIterable<
        [EvaluationReply]
      >) {
        if (reply === 'ready') return undefined
        outcomes.push(reply)
      }
      return 'evaluation was interrupted'
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      return code === 'ERR_WORKER_OUT_OF_MEMORY'
        ? `evaluation exceeded ${this.#budget.maxMebibytes} MiB of memory`
        : message
    }
  }

  /** Returns the error once the budget is spent. Time in which the thread waits for a core of a busy machine is not CPU
   * time. */
  async #watchTime(worker: Worker, signal: AbortSignal): Promise<string> {
    const { cpuMs, elapsedMs } = this.#budget
    const began = performance.now()
    const before = await worker.cpuUsage()
    for (let wait = cpuMs; ;) {
      await sleep(wait, undefined, { signal }).catch(() => {})
      if (signal.aborted) return ''
      const { user, system } = await worker.cpuUsage(before)
      const left = cpuMs - (user + system) / 1000
      if (left <= 0 || performance.now() - began >= elapsedMs) {
        return `evaluation of the conditions exceeded ${cpuMs} ms of CPU time`
      }
      wait = Math.max(MIN_WAIT_MS, left)
    }
  }
}
