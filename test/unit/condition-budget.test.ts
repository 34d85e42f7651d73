// Conditions that cost much: each decision has a budget, and nobody else pays for it.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { createEvaluator } from '../../services/metadata/conditions/evaluator.ts'
import type { Outcome, VariableValues } from '../../services/metadata/domain/governance/condition.ts'

const evaluator = createEvaluator()
afterAll(() => evaluator.close())

const parameters = new Map([['text', 'x'.repeat(8_000)]])
const variables = {
  version: new Map<string, unknown>([['parameters', parameters]]),
  alias: 'live',
} as unknown as VariableValues
const LETTERS = `"${'ab'.repeat(750)}"`
const BACKTRACKS = `[0,1,2,3,4,5,6,7,8,9].exists(n, ${LETTERS}.matches("(a|b)*a(a|b){900}[cd]$"))`
const GROWS = `[0,1,2,3,4,5,6,7,8,9].map(n, bytes(${Array(80).fill('version.parameters.text').join('+')})).size() > 0`
const TOO_LONG: Outcome = { outcome: 'ERROR', error: 'evaluation of the conditions exceeded 250 ms of CPU time' }

test('fails a condition that exceeds the budget of its decision, and all conditions after it', async () => {
  const expressions = ['alias == "live"', BACKTRACKS, 'true']
  const outcomes = await evaluator.evaluate('mallory', { expressions, variables })
  expect(outcomes).toEqual([{ outcome: 'TRUE', error: '' }, TOO_LONG, TOO_LONG])
})

test('fails a condition that creates more than 64 MiB of strings and bytes', async () => {
  const [outcome] = await evaluator.evaluate('mallory', { expressions: [GROWS], variables })
  expect(outcome).toEqual({ outcome: 'ERROR', error: 'evaluation exceeded 64 MiB of created strings and bytes' })
})

test('fails a condition whose heap exceeds the budget, and evaluates the next one', async () => {
  const small = createEvaluator({ cpuMs: 5_000, elapsedMs: 20_000, maxMebibytes: 32 })
  const large = { ...variables, requester: Array.from({ length: 1_000_000 }, (_, n) => `${n} is a long text`) }
  const [outcome] = await small.evaluate('mallory', { expressions: ['true'], variables: large })
  expect(outcome).toEqual({ outcome: 'ERROR', error: 'evaluation exceeded 32 MiB of memory' })
  const next = await small.evaluate('mallory', { expressions: ['true'], variables })
  expect(next).toEqual([{ outcome: 'TRUE', error: '' }])
  await small.close()
})

test('leaves the event loop to others meanwhile', async () => {
  const over = new AbortController()
  const evaluation = evaluator.evaluate('mallory', { expressions: [BACKTRACKS], variables }).finally(() => over.abort())
  let turns = 0
  for (; !over.signal.aborted; turns += 1) await nextTurn()
  expect(await evaluation).toEqual([TOO_LONG])
  expect(turns).toBeGreaterThan(100)
})

test('evaluates for another principal while one has many costly conditions', async () => {
  const order: string[] = []
  const evaluate = (principal: string, expression: string) =>
    evaluator.evaluate(principal, { expressions: [expression], variables }).then(() => order.push(principal))
  const costly = Array.from({ length: 4 }, () => evaluate('mallory', BACKTRACKS))
  await evaluate('alice', 'true')
  expect(order.filter((principal) => principal === 'mallory').length).toBeLessThanOrEqual(1)
  await Promise.all(costly)
})
