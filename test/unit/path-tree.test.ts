import { afterEach, expect, test, vi } from 'vitest'
import { PathTree } from '../../services/lib/values/path-tree.ts'
import { findListProblem } from '../../clients/cli/transfer/paths.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

const addAll = (paths: string[]): void => {
  const tree = new PathTree()
  for (const path of paths) expect(tree.add(path)).toBeUndefined()
}

/** Paths of `depth` segments that share none of their directories. */
const chains = (count: number, depth: number): string[] =>
  Array.from({ length: count }, (_, index) => `${index}${'/d'.repeat(depth - 1)}`)

/** Counts the characters of the keys that are looked up, which is the work that grows with the paths. */
function countLookups(work: () => void): number {
  let characters = 0
  for (const method of ['get', 'has'] as const) {
    const original = Map.prototype[method]
    vi.spyOn(Map.prototype, method).mockImplementation(function (this: Map<unknown, unknown>, key: unknown) {
      if (typeof key === 'string') characters += key.length
      return original.call(this, key) as never
    })
  }
  work()
  vi.restoreAllMocks()
  return characters
}

test.each([
  ['the tree', addAll],
  ['the check of the command', (paths: string[]) => expect(findListProblem(paths)).toBeUndefined()],
])('%s takes work that is linear in the depth of the paths', (_name, check) => {
  const [flat, deep] = [chains(50, 50), chains(50, 400)].map((paths) => countLookups(() => check(paths)))
  expect(flat).toBeGreaterThan(0)
  expect(deep! / flat!).toBeLessThan(16)
})

test.each([
  ['the tree', addAll],
  ['the check of the command', (paths: string[]) => expect(findListProblem(paths)).toBeUndefined()],
])('%s takes work that is linear in the number of the paths', (_name, check) => {
  const [few, many] = [chains(100, 20), chains(1_000, 20)].map((paths) => countLookups(() => check(paths)))
  expect(many! / few!).toBeLessThan(20)
})

test('names a conflict with an earlier path', () => {
  const tree = new PathTree()
  for (const path of ['a/b/c', 'A/x', 'f']) expect(tree.add(path)).toBeUndefined()
  expect(tree.add('F/g')).toEqual({ kind: 'below', index: 2 })
})

test.each([
  [['a/b', 'x', 'A/B'], { kind: 'same', index: 0 }],
  [['x', 'a/b/c', 'a/b/d', 'A/b'], { kind: 'above', index: 1 }],
  [['x', 'a', 'a/b/c'], { kind: 'below', index: 1 }],
])('the last of %j conflicts', (paths, conflict) => {
  const tree = new PathTree()
  for (const path of paths.slice(0, -1)) expect(tree.add(path)).toBeUndefined()
  expect(tree.add(paths.at(-1)!)).toEqual(conflict)
})
