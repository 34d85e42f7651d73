// The lists of faults must change with the code: an entry that no longer applies proves nothing.
import { expect, test } from 'vitest'
import { findProblem, readFaults } from '../mutate/faults.ts'
import { findRoom, findRoomOfTest, ROOM_NAMES } from '../mutate/rooms.ts'

test.each(ROOM_NAMES)('every fault in the list of %s applies to its file', (room) => {
  const faults = readFaults([room])
  const problems = faults.map((fault) => ({ fault, problem: findProblem(fault) }))
  expect(faults.length).toBeGreaterThanOrEqual(5)
  expect(problems.filter(({ problem }) => problem !== undefined)).toEqual([])
})

test.each(ROOM_NAMES)(
  'every fault of the list of %s is in a file of that area, says what it does, and is there once',
  (room) => {
    const faults = readFaults([room])
    expect(faults.filter(({ file }) => findRoom(file) !== room)).toEqual([])
    expect(faults.filter(({ says }) => !/^[A-Z].*\.$/.test(says))).toEqual([])
    expect(new Set(faults.map(({ file, find, replace }) => JSON.stringify([file, find, replace]))).size).toBe(
      faults.length,
    )
  },
)

test('a file belongs to the area with the longest matching path', () => {
  expect(findRoom('clients/verifier/verdict.ts')).toBe('verifier')
  expect(findRoom('clients/cli/connection/registry.ts')).toBe('cli')
  expect(findRoom('test/support/poll.ts')).toBeUndefined()
  expect(findRoomOfTest('test/service/audit/worm.test.ts')).toBe('audit')
  expect(findRoomOfTest('test/service/gate.test.ts')).toBe('lib')
  expect(findRoomOfTest('test/unit/audit-monitor.test.ts')).toBe('verifier')
})
