// `node test/ci/report.ts REPORT`: prints what a run of the tests came to, and exits with 1 where a test was skipped that
// this machine should not skip.
import { readFile } from 'node:fs/promises'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describeMachine, EXPECTED_SKIPS, type ExpectedSkip, type Machine } from './expected-skips.ts'

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))

/** The part of the JSON report of vitest that is read here. */
export interface Report {
  numPassedTests: number
  numFailedTests: number
  testResults: { name: string; assertionResults: { fullName: string; status: string }[] }[]
}

interface Skip {
  file: string
  test: string
  /** Absent where nobody expects it. */
  expected?: ExpectedSkip | undefined
}

/** The skipped tests of a run, `repository` being the folder in which it ran. */
export function findSkips(report: Report, machine: Machine, repository: string): Skip[] {
  return report.testResults.flatMap(({ name, assertionResults }) => {
    const file = relative(repository, name).replaceAll('\\', '/')
    const skipped = assertionResults.filter(({ status }) => status !== 'passed' && status !== 'failed')
    return skipped.map(({ fullName }) => ({ file, test: fullName, expected: findExpected(file, fullName, machine) }))
  })
}

function findExpected(file: string, test: string, machine: Machine): ExpectedSkip | undefined {
  return EXPECTED_SKIPS.find((skip) => skip.file === file && test.includes(skip.test ?? '') && skip.isExpected(machine))
}

export async function main(path: string): Promise<number> {
  const report = JSON.parse(await readFile(path, 'utf8')) as Report
  const skips = findSkips(report, await describeMachine(), REPOSITORY)
  for (const { file, test, expected } of skips) {
    console.log(`skipped ${expected ? `(${expected.reason})` : 'WITHOUT BEING EXPECTED'}: ${file} > ${test}`)
  }
  console.log(`${report.numPassedTests} passed, ${report.numFailedTests} failed, ${skips.length} skipped`)
  return skips.every(({ expected }) => expected) ? 0 : 1
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(process.argv[2] ?? '')
