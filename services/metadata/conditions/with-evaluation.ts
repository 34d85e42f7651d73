// Evaluates the conditions of a transaction outside it, because the author of the gate chooses their cost and no lock may be
// held meanwhile. The outcomes count only for the evidence that the transaction reads under its locks: if it differs, the
// transaction is rolled back and retried.
import type { HandlerContext } from '@connectrpc/connect'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import type { Outcome, VariableValues } from '../domain/governance/condition.ts'
import type { Evaluator } from './evaluator.ts'

interface Evidence {
  variables: VariableValues
  /** The identity of the variables: equal variables have equal keys. */
  key: string
}

/** Returns the outcomes of the expressions for the evidence. Throws, which rolls back the transaction, if they have not been
 * evaluated yet. */
export type Evaluate = (expressions: string[], evidence: Evidence) => Outcome[]

class EvaluationNeeded extends Error {
  readonly key: string
  readonly expressions: string[]
  readonly evidence: Evidence

  constructor(key: string, expressions: string[], evidence: Evidence) {
    super('conditions must be evaluated outside the transaction')
    this.key = key
    this.expressions = expressions
    this.evidence = evidence
  }
}

const MAX_ATTEMPTS = 5

/** Runs `transact`, and evaluates the conditions that it needs between attempts, while it holds no lock. Throws CONFLICT if the
 * evidence changed in every attempt. */
export async function withEvaluation<T>(
  evaluator: Evaluator,
  context: HandlerContext,
  transact: (evaluate: Evaluate) => Promise<T>,
): Promise<T> {
  const known = new Map<string, Outcome[]>()
  const { principal } = accessOf(context).caller
  const evaluate: Evaluate = (expressions, evidence) => {
    if (expressions.length === 0) return []
    const key = JSON.stringify([evidence.key, expressions])
    const outcomes = known.get(key)
    if (!outcomes) throw new EvaluationNeeded(key, expressions, evidence)
    return outcomes
  }
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    try {
      return await transact(evaluate)
    } catch (error) {
      if (!(error instanceof EvaluationNeeded)) throw error
      const { key, expressions, evidence } = error
      const request = { expressions, variables: evidence.variables }
      known.set(key, await evaluator.evaluate(principal, request, context.signal))
    }
  }
  fail('CONFLICT', 'gate evidence changed during evaluation; retry')
}
