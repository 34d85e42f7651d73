// Conditions of a transaction are evaluated outside it, and only count for what it reads.
import { createContextValues, createHandlerContext } from '@connectrpc/connect'
import { expect, test } from 'vitest'
import { GateService } from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { withEvaluation } from '../../services/metadata/conditions/with-evaluation.ts'
import type { Evidence } from '../../services/metadata/changes/gate-evidence.ts'
import type { Evaluator } from '../../services/metadata/conditions/evaluator.ts'

const context = createHandlerContext({
  service: GateService,
  method: GateService.method.testGate,
  protocolName: 'grpc',
  requestMethod: 'POST',
  url: 'http://localhost',
  contextValues: createContextValues(),
})
const evidence = (key: string): Evidence => ({
  key,
  current: undefined,
  variables: {} as Evidence['variables'],
  evaluations: [],
})

/** Counts evaluations; all conditions hold. */
function countingEvaluator(): Evaluator & { count: number } {
  return {
    count: 0,
    async evaluate(_principal, { expressions }) {
      this.count += 1
      return expressions.map(() => ({ outcome: 'TRUE', error: '' }))
    },
    async close() {},
  }
}

test('evaluates between two attempts, and passes the outcomes to the second', async () => {
  const evaluator = countingEvaluator()
  const attempts: string[] = []
  const outcomes = await withEvaluation(evaluator, context, async (evaluate) => {
    attempts.push('begin')
    const found = evaluate(['a', 'b'], evidence('same'))
    attempts.push('commit')
    return found
  })
  expect(outcomes).toHaveLength(2)
  expect(attempts).toEqual(['begin', 'begin', 'commit'])
  expect(evaluator.count).toBe(1)
})

test('evaluates again when a transaction reads something else', async () => {
  const evaluator = countingEvaluator()
  const keys = ['old', 'new', 'new']
  await withEvaluation(evaluator, context, async (evaluate) => evaluate(['a'], evidence(keys.shift()!)))
  expect([evaluator.count, keys]).toEqual([2, []])
})

test('throws CONFLICT if a transaction reads something else in each attempt', async () => {
  let turn = 0
  const always = withEvaluation(countingEvaluator(), context, async (evaluate) =>
    evaluate(['a'], evidence(String((turn += 1)))),
  )
  await expect(always).rejects.toMatchObject({ reason: 'CONFLICT' })
  expect(turn).toBe(5)
})

test('runs a transaction without conditions once', async () => {
  const evaluator = countingEvaluator()
  let turns = 0
  await withEvaluation(evaluator, context, async (evaluate) => {
    turns += 1
    return evaluate([], evidence('any'))
  })
  expect([turns, evaluator.count]).toEqual([1, 0])
})
