// `node test/ci/report.ts REPORT`: prints the result of a test run, with the time of each room, and exits with 1
// where a test was skipped that this machine should not skip.
import { readFile } from 'node:fs/promises'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findRoomOfTest } from '../mutate/rooms.ts'
import { describeMachine, EXPECTED_SKIPS, type ExpectedSkip, type Machine } from './expected-skips.ts'

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))

/** The part of the JSON report of vitest that is read here. */
export interface Report {
  numPassedTests: number
  numFailedTests: number
  testResults: FileResult[]
}

interface FileResult {
  name: string
  /** Milliseconds since 1970. */
  startTime: number
  endTime: number
  assertionResults: { fullName: string; status: string }[]
}

interface RoomTime {
  room: string
  files: number
  tests: number
  seconds: number
}

interface Skip {
  file: string
  test: string
  /** Absent if the skip is not expected. */
  expected?: ExpectedSkip | undefined
}

/** The skipped tests of a run, `repository` being the folder in which it ran. */
export function findSkips(report: Report, machine: Machine, repository: string): Skip[] {
  return report.testResults.flatMap(({ name, assertionResults }) => {
    const file = pathOf(name, repository)
    const skipped = assertionResults.filter(({ status }) => status !== 'passed' && status !== 'failed')
    return skipped.map(({ fullName }) => ({ file, test: fullName, expected: findExpected(file, fullName, machine) }))
  })
}

function pathOf(name: string, repository: string): string {
  return relative(repository, name).replaceAll('\\', '/')
}

function findExpected(file: string, test: string, machine: Machine): ExpectedSkip | undefined {
  return EXPECTED_SKIPS.find((skip) => skip.file === file && test.includes(skip.test ?? '') && skip.isExpected(machine))
}

/**
 * The time of the test files of each room, the longest first. Files run at the same time, so the sum is more than the
 * time of the run. A test of the whole suite that belongs to no room counts as "suite".
 */
export function sumByRoom(report: Report, repository: string): RoomTime[] {
  const rooms = new Map<string, RoomTime>()
  for (const { name, startTime, endTime, assertionResults } of report.testResults) {
    const room = findRoomOfTest(pathOf(name, repository)) ?? 'suite'
    const sum = rooms.get(room) ?? { room, files: 0, tests: 0, seconds: 0 }
    rooms.set(room, {
      room,
      files: sum.files + 1,
      tests: sum.tests + assertionResults.length,
      seconds: sum.seconds + (endTime - startTime) / 1000,
    })
  }
  return [...rooms.values()].toSorted((a, b) => b.seconds - a.seconds)
}

export async function main(path: string): Promise<number> {
  const report = JSON.parse(await readFile(path, 'utf8')) as Report
  const skips = findSkips(report, await describeMachine(), REPOSITORY)
  for (const { file, test, expected } of skips) {
    console.log(`skipped ${expected ? `(${expected.reason})` : 'WITHOUT BEING EXPECTED'}: ${file} > ${test}`)
  }
  for (const { room, files, tests, seconds } of sumByRoom(report, REPOSITORY)) {
    console.log(`${room.padEnd(10)} ${seconds.toFixed(0).padStart(5)} s  ${tests} tests in ${files} files`)
  }
  console.log(`${report.numPassedTests} passed, ${report.numFailedTests} failed, ${skips.length} skipped`)
  return skips.every(({ expected }) => expected) ? 0 : 1
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(process.argv[2] ?? '')
