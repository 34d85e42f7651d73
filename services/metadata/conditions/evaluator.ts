// Evaluates the conditions of gates in threads, with a budget for each decision and a fair queue of principals.
import { FairQueue } from '#lib/process/fair-queue.ts'
import type { Outcome } from '../domain/governance/condition.ts'
import { EvaluationThread, type EvaluationBudget } from './evaluation-thread.ts'
import type { EvaluationRequest } from './evaluation-worker.ts'

export interface Evaluator {
  /** Returns an outcome for each expression. Throws OVERLOADED if the principal waits too long for a thread. */
  evaluate: (principal: string, request: EvaluationRequest, signal?: AbortSignal) => Promise<Outcome[]>
  close: () => Promise<void>
}

export const BUDGET: EvaluationBudget = { cpuMs: 250, elapsedMs: 1_000, maxMebibytes: 64 }
const THREADS = 2
const MAX_WAIT_MS = 10_000

export function createEvaluator(budget: EvaluationBudget = BUDGET): Evaluator {
  const threads = Array.from({ length: THREADS }, () => new EvaluationThread(budget))
  const idle = [...threads]
  const queue = new FairQueue({ slots: THREADS, maxWaitMs: MAX_WAIT_MS, what: 'evaluations of gates' })
  return {
    async evaluate(principal, request, signal) {
      if (request.expressions.length === 0) return []
      const release = await queue.take(principal, signal)
      const thread = idle.pop()!
      try {
        return await thread.evaluate(request)
      } finally {
        idle.push(thread)
        release()
      }
    },
    async close() {
      await Promise.all(threads.map((thread) => thread.close()))
    },
  }
}
