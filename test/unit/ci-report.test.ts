import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { EXPECTED_SKIPS, type Machine } from '../ci/expected-skips.ts'
import { findSkips, sumByRoom, type Report } from '../ci/report.ts'

const COMPLETE: Machine = {
  isRoot: true,
  isLinux: true,
  hasPython: true,
  hasGo: true,
  hasCeph: true,
  mayMount: true,
  isReachable: true,
}

function reportOf(file: string, ...tests: [name: string, status: string][]): Report {
  const assertionResults = tests.map(([fullName, status]) => ({ fullName, status }))
  const result = { name: `/repository/${file}`, startTime: 1000, endTime: 3500, assertionResults }
  return { numPassedTests: 1, numFailedTests: 0, testResults: [result] }
}

const unexpected = (report: Report, machine: Machine): string[] =>
  findSkips(report, machine, '/repository').flatMap((skip) => (skip.expected ? [] : [skip.test]))

const PYTHON = reportOf(
  'test/unit/audit-trust.test.ts',
  ['the verifier in Python agrees', 'skipped'],
  ['trusts a key', 'passed'],
  ['trusts no other', 'failed'],
)

test('a skip is expected on a machine that lacks what the test needs, and on no other', () => {
  expect(unexpected(PYTHON, { ...COMPLETE, hasPython: false })).toEqual([])
  expect(unexpected(PYTHON, COMPLETE)).toEqual(['the verifier in Python agrees'])
  expect(findSkips(PYTHON, COMPLETE, '/repository')).toHaveLength(1)
})

test.each(['skipped', 'pending', 'todo'])('a test that is %s and not listed is not expected', (status) => {
  const report = reportOf('test/unit/audit-trust.test.ts', ['trusts a key', status])
  expect(unexpected(report, { ...COMPLETE, hasPython: false })).toEqual(['trusts a key'])
})

test('every expected skip has a reason and names an existing test', () => {
  for (const { file, test: name, reason } of EXPECTED_SKIPS) {
    const path = new URL(`../../${file}`, import.meta.url)
    expect(existsSync(path), file).toBe(true)
    expect(reason).not.toBe('')
    // In the report, the names of the groups precede the name of the test.
    const source = readFileSync(path, 'utf8')
    expect(source, file).toContain((name ?? '').replace(/^a directory /, ''))
  }
})

test('sums the time of the files of an area, and lists the longest area first', () => {
  const files = ['unit/audit-leaf', 'unit/audit-trust', 'unit/audit-hostile', 'suite/soak']
  const testResults = files.flatMap((file) => reportOf(`test/${file}.test.ts`, ['passes', 'passed']).testResults)
  expect(sumByRoom({ numPassedTests: 4, numFailedTests: 0, testResults }, '/repository')).toEqual([
    { room: 'verifier', files: 2, tests: 2, seconds: 5 },
    { room: 'audit', files: 1, tests: 1, seconds: 2.5 },
    { room: 'suite', files: 1, tests: 1, seconds: 2.5 },
  ])
})
