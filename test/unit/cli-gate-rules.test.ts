import { create, toJson } from '@bufbuild/protobuf'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import {
  ConditionOutcome,
  GateDecisionSchema,
  GateRulesSchema,
  type GateRules,
} from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { VoteSchema } from '#gen/modelkeep/metadata/v1/promotion_pb.ts'
import { countsFor, decisionText } from '../../clients/cli/commands/promotion/decisions.ts'
import { readRules, ruleRows, type RuleOptions } from '../../clients/cli/commands/gate/gate-rules.ts'

const directory = mkdtempSync(join(tmpdir(), 'modelkeep-rules-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const json = (rules: GateRules) => toJson(GateRulesSchema, rules)
const read = async (options: RuleOptions, present?: GateRules) => json(await readRules(options, present))

describe('rules', () => {
  test('are read from options', async () => {
    const condition = ['version.labels["a :: b"] == "c" :: it is c', 'true::no', ' x  ::  says: x ']
    await expect(read({ condition })).rejects.toThrow('"true::no" has no explanation')
    const options = { alias: 'prod*', condition: condition.toSpliced(1, 1), approvals: '2', approver: ['bob'] }
    expect(await read({ ...options, expiry: '90m' })).toEqual({
      aliasPattern: 'prod*',
      conditions: [
        { expression: 'version.labels["a :: b"] == "c"', sentence: 'it is c' },
        { expression: 'x', sentence: 'says: x' },
      ],
      approvalsRequired: 2,
      approvers: ['bob'],
      expiry: '5400s',
    })
  })

  test.each([
    [{ expiry: '12h' }, '43200s'],
    [{ expiry: '7d' }, '604800s'],
    [{ expiry: '1m' }, '60s'],
  ])('parse the expiry %j as %s', async (options, expiry) => {
    expect(await read(options)).toEqual({ expiry })
  })

  test.each([
    [{ expiry: '7' }, '--expiry "7"'],
    [{ expiry: '0d' }, '--expiry "0d"'],
    [{ expiry: '-1d' }, '--expiry'],
    [{ approvals: '-1' }, '--approvals "-1"'],
    [{ approvals: '1.5' }, '--approvals "1.5"'],
    [{ condition: ['x ::'] }, 'has no explanation'],
    [{ condition: [':: x'] }, 'has no explanation'],
    [{ file: join(directory, 'broken.json') }, 'contains no valid rules'],
  ])('reject %j', async (options, message) => {
    writeFileSync(join(directory, 'broken.json'), '{"aliasPattern": 1}')
    await expect(read(options)).rejects.toThrow(message)
  })

  test('of a file override the current rules, and options override the file', async () => {
    const file = join(directory, 'rules.json')
    writeFileSync(file, '{"aliasPattern": "live", "approvalsRequired": 2, "approvers": ["bob"]}')
    const present = create(GateRulesSchema, { aliasPattern: 'old', conditions: [{ expression: 'x', sentence: 'y' }] })
    expect(await read({ file, approvals: '0' }, present)).toEqual({ aliasPattern: 'live', approvers: ['bob'] })
    expect(await read({ approvals: '3' }, present)).toMatchObject({ aliasPattern: 'old', approvalsRequired: 3 })
    const none = { conditions: false, approvers: false }
    expect(await read({ file, ...none }, present)).toEqual({ aliasPattern: 'live', approvalsRequired: 2 })
    expect(await read({ ...none, approver: ['ada'] }, present)).toEqual({ aliasPattern: 'old', approvers: ['ada'] })
  })

  test('are printed one per line, without escape sequences', () => {
    const rules = create(GateRulesSchema, {
      aliasPattern: 'live',
      conditions: [{ expression: 'a', sentence: 'red \u001b[31m' }],
      approvalsRequired: 1,
    })
    const rows = ruleRows(rules).filter(([, value]) => value !== '')
    expect(rows).toEqual([
      ['guards', '@live'],
      ['when', 'red : a'],
      ['approvals', '1'],
      ['expiry', '7d'],
    ])
    for (const [seconds, text] of [
      [60, '1m'],
      [7200, '2h'],
      [90, '90s'],
      [86_400, '1d'],
    ] as const) {
      const expiry = { seconds: BigInt(seconds) }
      expect(ruleRows(create(GateRulesSchema, { approvalsRequired: 1, expiry })).at(-1)).toEqual(['expiry', text])
    }
    expect(ruleRows(undefined)).toEqual([['rules', 'deleted']])
  })
})

test('prints a decision with each condition, its error and the required approvals', () => {
  const decision = create(GateDecisionSchema, {
    gate: 'release',
    revision: 3,
    conditions: [
      { expression: 'a', sentence: 'it is a', outcome: ConditionOutcome.TRUE },
      { expression: 'b', sentence: 'it is b', outcome: ConditionOutcome.FALSE },
      { expression: 'c', sentence: 'it is c', outcome: ConditionOutcome.ERROR, error: 'no such key: c' },
    ],
    approvalsRequired: 2,
    approvalsGiven: 1,
    approvers: ['ada', 'bob'],
  })
  expect(decisionText(decision).split('\n')).toEqual([
    'release (revision 3)',
    '  ✓ it is a',
    '  ✗ it is b: b',
    '  ✗ it is c: c – no such key: c',
    '  … 1 of 2 approvals of ada, bob',
  ])
})

test('an approval counts for gates that accept its principal, while the principal is an approver', () => {
  const decisions = [
    create(GateDecisionSchema, { gate: 'all', approvalsRequired: 1 }),
    create(GateDecisionSchema, { gate: 'some', approvalsRequired: 1, approvers: ['ada'] }),
    create(GateDecisionSchema, { gate: 'none' }),
  ]
  const gatesOf = (vote: { principal: string; approved: boolean; counts: boolean }): string[] =>
    countsFor(create(VoteSchema, vote), decisions)
  expect(gatesOf({ principal: 'ada', approved: true, counts: true })).toEqual(['all', 'some'])
  expect(gatesOf({ principal: 'bob', approved: true, counts: true })).toEqual(['all'])
  expect(gatesOf({ principal: 'ada', approved: true, counts: false })).toEqual([])
  expect(gatesOf({ principal: 'ada', approved: false, counts: true })).toEqual([])
})
