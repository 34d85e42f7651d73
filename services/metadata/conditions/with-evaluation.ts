// Evaluation of conditions for a transaction. It takes place outside the transaction, because its cost is the choice of the
// gate's author and a lock must not wait for it. The outcomes count only for exactly what the transaction reads under its
// locks: otherwise it is rolled back and tried again.
import type { HandlerContext } from '@connectrpc/connect'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import type { Outcome, VariableValues } from '../domain/governance/condition.ts'
import type { Evaluator } from './evaluator.ts'

interface Evidence {
  variables: VariableValues
  /** Equal for equal variables. */
  key: string
}

/** Returns the outcomes of the expressions by the evidence. Throws if they are not known yet, which rolls back the transaction. */
export type Evaluate = (expressions: string[], evidence: Evidence) => Outcome[]

class EvaluationNeeded extends Error {
  readonly key: string
  readonly expressions: string[]
  readonly evidence: Evidence

  constructor(key: string, expressions: string[], evidence: Evidence) {
    super('conditions are evaluated outside the transaction')
    this.key = key
    this.expressions = expressions
    this.evidence = evidence
  }
}

const MAX_ATTEMPTS = 5

/** Runs `transact`, and evaluates what it needs while it holds no lock. Throws CONFLICT if what the gates decide by changes
 * between all attempts. */
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
  fail('CONFLICT', 'what the gates decide by changes too often; retry')
}
