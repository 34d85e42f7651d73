// Conditions of gates: parsing, limits and evaluation.
import { describe, expect, test } from 'vitest'
import { checkExpression, evaluate, type VariableValues } from '../../services/metadata/domain/governance/condition.ts'

const version = new Map<string, unknown>([
  ['number', 7n],
  ['creator', 'alice'],
  ['labels', new Map([['tier', 'high']])],
  [
    'metrics',
    new Map([
      ['auc', 0.95],
      ['top-5', 1],
    ]),
  ],
  ['parameters', new Map<string, unknown>([['layers', [1, 2, 3]]])],
])
const passed = new Map<string, unknown>([
  ['suite', 'fairness'],
  ['verdict', 'PASSED'],
  ['metrics', new Map([['gap', 0.01]])],
])
const subject = {
  version,
  current: null,
  model: new Map([['name', 'scorer']]),
  artifact: new Map([['size_bytes', 10n]]),
  evaluations: [passed],
  latest: new Map([['fairness', passed]]),
  alias: 'production',
  requester: 'alice',
} as unknown as VariableValues

const refusal = (expression: string): string => {
  try {
    checkExpression(expression, 'rules.conditions[0].expression')
  } catch (error) {
    return (error as Error).message
  }
  return 'accepted'
}

test.each([
  ['version.metrics.auc >= 0.9', 'TRUE'],
  ['version.metrics["top-5"] > 1.0', 'FALSE'],
  ['has(version.metrics.f1) && version.metrics.f1 > 0.5', 'FALSE'],
  ['current == null || version.number > current.number', 'TRUE'],
  ['latest["fairness"].verdict == "PASSED"', 'TRUE'],
  ['latest.fairness.metrics.gap < 0.02', 'TRUE'],
  ['evaluations.exists(it, it.suite == "fairness" && it.verdict == "PASSED")', 'TRUE'],
  ['version.parameters.layers.all(n, n < 3)', 'FALSE'],
  ['"tier" in version.labels && version.labels.tier in ["high", "low"]', 'TRUE'],
  ['size(evaluations) == 1 && type(version.number) == int', 'TRUE'],
  ['artifact.size_bytes < 1024 * 1024', 'TRUE'],
  ['alias.startsWith("prod") && requester.matches("^[a-z]+$")', 'TRUE'],
  ['version["metrcs"].auc > 0.5', 'ERROR'],
  ['version.metrics.constructor == 1', 'ERROR'],
  ['version.metrics.f1 > 0.5', 'ERROR'],
  ['latest.safety.verdict == "PASSED"', 'ERROR'],
  ['version.number', 'ERROR'],
  ['1 / 0 == 1', 'ERROR'],
  ['current.number < 3', 'ERROR'],
])('"%s" is %s', (expression, outcome) => {
  expect(refusal(expression)).toBe('accepted')
  expect(evaluate(expression, subject).outcome).toBe(outcome)
})

test('returns the reason for a condition that fails', () => {
  expect(evaluate('latest.safety.verdict == "PASSED"', subject)).toEqual({
    outcome: 'ERROR',
    error: 'field not found: safety',
  })
  expect(evaluate('version.number > current.number', subject)).toMatchObject({
    error: expect.stringContaining('; current is null because the alias does not exist') as string,
  })
  expect(evaluate('version.number', subject)).toMatchObject({ error: 'the result is not a boolean' })
})

describe('an invalid condition is rejected with the reason', () => {
  test.each([
    ['', 'is required'],
    ['version.number >', 'must be a valid CEL expression: 1:16'],
    ['versoin.number > 1', 'must not use the unknown name "versoin"; known names: version, current,'],
    ['version.metrcs.auc > 0.5', 'must not use the unknown field "version.metrcs"; known fields: id, number,'],
    ['has(current.name)', 'must not use the unknown field "current.name"'],
    ['__proto__ == null', 'must not use the unknown name "__proto__"'],
    ['shout(alias) == "A"', 'must not call "shout"'],
    ['google.protobuf.Struct{} == null', 'must not construct messages'],
    ['evaluations.all(a, evaluations.all(b, a == b))', 'must not nest macros'],
    ['evaluations.map(a, [1].map(b, b)).size() > 0', 'must not nest macros'],
    [`alias == "${'a'.repeat(2048)}"`, 'must have at most 2048 bytes'],
    [Array.from({ length: 260 }, () => 'true').join('&&'), 'must have at most 500 parts'],
    [`${'('.repeat(1000)}true${')'.repeat(1000)}`, 'must be a valid CEL expression: expression is nested too deeply'],
    ['alias == "\0"', 'must be Unicode text without NUL'],
    ['evaluations.exists(it, it.verdict == its)', 'must not use the unknown name "its"'],
  ])('%s', (expression, rule) => {
    expect(refusal(expression)).toContain(rule)
  })

  test('a variable of a macro is known only inside it', () => {
    expect(refusal('evaluations.exists(it, it.suite == "a") && it == 1')).toContain(
      'must not use the unknown name "it"',
    )
  })
})

test('evaluates in linear time a regular expression that backtracks in other engines', () => {
  const long = { ...subject, alias: `${'a'.repeat(100)}!` }
  expect(evaluate('alias.matches("^(a+)+$")', long)).toEqual({ outcome: 'FALSE', error: '' })
})
