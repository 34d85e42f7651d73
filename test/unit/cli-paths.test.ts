import { array, assert, constantFrom, oneof, property, string } from 'fast-check'
import { join, resolve, sep } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parsePath } from '../../services/artifact/domain/path.ts'
import { findDepthProblem, findListProblem, findPathProblem } from '../../clients/cli/transfer/paths.ts'

describe('rejects the path', () => {
  test.each([
    '',
    '/a',
    'a/',
    'a//b',
    '.',
    '..',
    '../a',
    'a/../b',
    'a/./b',
    'a\\b',
    'C:/a',
    'a:stream',
    'a\u0000b',
    'a\nb',
    'a\u007fb',
    'a?b',
    'a*',
    'CON',
    'nul.txt',
    'x/LPT1.log/y',
    'a.',
    'a ',
    'a /b',
    'e\u0301',
    '\ud800',
    'a\u202eb',
    'a\u0085b',
    'x'.repeat(256),
    `${'x'.repeat(200)}/`.repeat(6),
  ])('%j', (path) => {
    expect(findPathProblem(path)).toBeTypeOf('string')
  })
})

test.each(['model.onnx', 'a/b/c', '.hidden', 'a..b', 'console/x', 'é', '模型/权重.bin', '-rf', 'a b'])(
  'accepts the path %j',
  (path) => {
    expect(findPathProblem(path)).toBeUndefined()
  },
)

test('every valid path stays below the target', () => {
  const root = resolve('target')
  const piece = oneof(constantFrom('..', '.', '', '/', '\\', 'a', 'C:', '~'), string({ maxLength: 4, unit: 'binary' }))
  assert(
    property(array(piece, { maxLength: 6 }), (pieces) => {
      const path = pieces.join('/')
      if (findPathProblem(path) === undefined) expect(join(root, path).startsWith(root + sep)).toBe(true)
    }),
    { numRuns: 2_000 },
  )
})

test('rejects a list in which two paths collide on some file system', () => {
  expect(findListProblem(['a', 'b/c', 'b/d'])).toBeUndefined()
  expect(findListProblem(['A', 'a'])).toContain('when case is ignored')
  expect(findListProblem(['a', 'a'])).toContain('when case is ignored')
  expect(findListProblem(['a', 'A/b'])).toContain('a file and a directory')
  expect(findListProblem(['D/a', 'd/b'])).toBeUndefined()
  expect(findListProblem(['ok', '../x'])).toContain('../x')
})

test('accepts a deep path of an older version, but not of a new one', () => {
  const deep = `${'a/'.repeat(32)}a`
  expect(findListProblem([deep])).toBeUndefined()
  expect(findDepthProblem(deep)).toBe('has more than 32 segments')
  expect(findDepthProblem(deep.slice(2))).toBeUndefined()
})

test('agrees with the rules of the server', () => {
  const piece = oneof(
    constantFrom('..', '', '\\', 'con', 'COM1.x', 'a.', '\u202e'),
    string({ maxLength: 3, unit: 'binary' }),
  )
  assert(
    property(array(piece, { minLength: 1, maxLength: 3 }), (pieces) => {
      const path = pieces.join('/')
      const isRefused = findPathProblem(path) !== undefined
      if (isRefused) expect(() => parsePath(path, 'path')).toThrow()
      else expect(parsePath(path, 'path')).toBe(path)
    }),
    { numRuns: 2_000 },
  )
})
