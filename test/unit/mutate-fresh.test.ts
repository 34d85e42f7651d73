// Faults that a mutation run chooses by its seed.
import { expect, test } from 'vitest'
import { findProblem, REPOSITORY, type Fault } from '../mutate/faults.ts'
import { phrase, pickFreshFaults, distribute, pickProportionally } from '../mutate/fresh.ts'
import { findNeighbours, nounsOf, readTests } from '../mutate/neighbours.ts'
import { applyChange, listChanges } from '../mutate/operators.ts'
import { ROOM_NAMES } from '../mutate/rooms.ts'
import { listFiles } from '../mutate/copy.ts'
import { seededRandom } from '../support/random.ts'

function changesOf(source: string): string[] {
  return listChanges(source).map((change) => applyChange(source, change))
}

test.each([
  ['if (a) b = c', ['if (!(a)) b = c']],
  ['x = a && b < c', ['x = a || b < c', 'x = a && b <= c']],
  ['x = !a', ['x = a']],
  ['x = a ? b : c', ['x = !(a) ? b : c']],
  ['x = 1 + a - `b`', ['x = 1 + a + `b`', 'x = 1 - a - `b`']],
  ["x = a + 'text'", []],
  ['store.remove(key)', [';']],
  ['await store.remove(key)', [';', 'store.remove(key)']],
  ['x = copy(from, to)', ['x = copy(to, from)']],
  ['x = Math.min(a, b)', []],
  ['x = copy(a, () => b)', []],
  ['const f = () => true', ['const f = () => false']],
  ["const f = () => ''", ["const f = () => 'x'"]],
  ['function f(): number { return 7 }', ['function f(): number { return 8 }']],
  ['log.info(a === b)', []],
  ['type T = A<B> | undefined', []],
  ['// if (a) b < c', []],
  ['x = a\n  && b', ['x = a\n  || b']],
  ['remove(\n  key)', []],
])('finds the one-line faults of %j', (source, expected) => {
  expect(changesOf(source)).toEqual(expected)
})

test('quotes a change with as many preceding lines as make it unique', () => {
  const source = 'a()\nif (x) y()\nb()\nif (x) y()\n'
  const second = listChanges(source).findLast(({ says }) => says === 'negates a condition')!
  expect(second.line).toBe(4)
  expect(phrase(source, second)).toEqual({ find: 'b()\nif (x) y()', replace: 'b()\nif (!(x)) y()' })
})

test('gives every area its minimum share, and distributes the whole count', () => {
  expect(distribute(60, [1, 1000, 3000])).toEqual([3, 16, 41])
  expect(distribute(2, [1, 1, 1]).reduce((sum, share) => sum + share)).toBe(2)
})

test('picks the same applicable faults in every area for the same seed', async () => {
  const pick = (seed: number) => pickFreshFaults(40, ROOM_NAMES, seededRandom(seed))
  const faults = await pick(7)
  expect(faults).toHaveLength(40)
  expect(await pick(7)).toEqual(faults)
  expect(await pick(8)).not.toEqual(faults)
  expect(new Set(faults.map(({ room }) => room))).toEqual(new Set(ROOM_NAMES))
  expect(faults.map((fault) => findProblem(fault)).filter((problem) => problem !== undefined)).toEqual([])
})

test('finds the tests of a file by imports, by nouns, and by the shortest chain of imports', async () => {
  const tests = readTests(await listFiles(REPOSITORY))
  expect(findNeighbours('services/lib/lists/wildcard.ts', tests)).toContain('test/unit/wildcard.test.ts')
  expect(findNeighbours('services/metadata/rpc/promotion/approve-promotion.ts', tests)).toContain(
    'test/service/metadata/promotions.test.ts',
  )
  expect(findNeighbours('clients/cli/commands/gate/gate.ts', tests)).toContain('test/suite/cli-gates.test.ts')
  const wide = findNeighbours('services/lib/lists/wildcard.ts', tests, true)
  expect(wide.length).toBeGreaterThan(findNeighbours('services/lib/lists/wildcard.ts', tests).length)
  expect(nounsOf('services/metadata/rpc/promotion/approve-promotion.ts')).toEqual(['approve', 'promotion'])
})

test('picks faults of each area in proportion to its candidates', () => {
  const of = (room: 'lib' | 'cli', count: number) => Array.from({ length: count }, () => ({ room }) as Fault)
  const candidates = [...of('lib', 6), ...of('cli', 12)]
  expect(pickProportionally(candidates.slice(0, 12), candidates, 9, ['lib', 'cli']).map(({ room }) => room)).toEqual([
    ...Array<string>(4).fill('lib'),
    ...Array<string>(5).fill('cli'),
  ])
})
