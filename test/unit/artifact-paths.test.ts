import { array, assert, constantFrom, oneof, property, string } from 'fast-check'
import { expect, test } from 'vitest'
import { ModelkeepError } from '../../services/lib/errors/errors.ts'
import { PathTree } from '../../services/lib/values/path-tree.ts'
import { addPath, comparePaths, parsePath } from '../../services/artifact/domain/path.ts'

test.each([
  'model.onnx',
  'weights/part-00001-of-00002.safetensors',
  '.gitattributes',
  'a b/c d.txt',
  'größe/模型.bin',
  'console.json',
  'com10.txt',
  'company',
  'x'.repeat(255),
  `${'a/'.repeat(31)}a`,
  `${`${'x'.repeat(255)}/`.repeat(3)}${'x'.repeat(255)}`,
  '😀',
])('accepts the path %j', (path) => {
  expect(parsePath(path, 'files[0].path')).toBe(path)
})

test.each([
  ['', 'must not be empty'],
  ['/etc/passwd', 'must be relative'],
  ['a//b', 'must have no empty segment'],
  ['a/', 'must have no empty segment'],
  ['.', 'must have no segment "." or ".."'],
  ['a/./b', 'must have no segment "." or ".."'],
  ['../a', 'must have no segment "." or ".."'],
  ['a/../../b', 'must have no segment "." or ".."'],
  ['a\\b', 'must have none of'],
  ['c:file', 'must have none of'],
  ...'<>:"|?*\\'.split('').map((sign): [string, string] => [`a${sign}b`, 'must have none of']),
  ['a\u0000b', 'must have no control characters'],
  ['a\nb', 'must have no control characters'],
  ['a\u007fb', 'must have no control characters'],
  ['a\u0085b', 'must have no control characters'],
  ['a\u2028b', 'must have no control characters'],
  ['evil\u202Egnp.exe', 'must have no characters that change the direction of text'],
  ['a\u2066b', 'must have no characters that change the direction of text'],
  ['e\u0301', 'must be in Unicode NFC'],
  ['\ud800', 'must be in Unicode NFC'],
  ['a./b', 'must have no segment that ends in a dot or space'],
  ['a /b', 'must have no segment that ends in a dot or space'],
  ['a...', 'must have no segment that ends in a dot or space'],
  ['x'.repeat(256), 'must have segments of at most 255 bytes'],
  ['ü'.repeat(128), 'must have segments of at most 255 bytes'],
  [`${'a/'.repeat(512)}a`, 'must have at most 1024 bytes'],
  [`${'a/'.repeat(32)}a`, 'must have at most 32 segments'],
  [`${'a/'.repeat(511)}ab`, 'must have at most 32 segments'],
  ...['CON', 'prn', 'Aux', 'NUL', 'nul.txt', 'a/COM1', 'com9.tar.gz', 'LPT1', 'lpt9.x', 'COM¹', 'con .txt'].map(
    (name): [string, string] => [name, 'must have no reserved device name'],
  ),
])('rejects the path %j: it %s', (path, rule) => {
  expect(() => parsePath(path, 'files[3].path')).toThrow(ModelkeepError)
  expect(() => parsePath(path, 'files[3].path')).toThrow(`files[3].path ${rule}`)
})

const addAll = (paths: string[]): void => {
  const tree = new PathTree()
  for (const [index, path] of paths.entries()) addPath(tree, path, index)
}

test.each([
  [['a', 'b', 'A'], 'files[2].path must differ from files[0].path in more than case'],
  [['Straße', 'STRASSE'], 'files[1].path must differ from files[0].path in more than case'],
  [['x', 'x'], 'files[1].path must differ from files[0].path in more than case'],
  [['ﬁle', 'FILE'], 'files[1].path must differ from files[0].path in more than case'],
  [['Σ', 'ς'], 'files[1].path must differ from files[0].path in more than case'],
  [['d/x', 'D/X'], 'files[1].path must differ from files[0].path in more than case'],
  [['a/b', 'A'], 'files[0].path must not be below files[1].path, which is a file'],
  [['A', 'b', 'a/b/c/d'], 'files[2].path must not be below files[0].path, which is a file'],
  [['b', 'a/b/c/d', 'a/x', 'a/B'], 'files[1].path must not be below files[3].path, which is a file'],
])('rejects %j in one manifest', (paths, message) => {
  expect(() => addAll(paths)).toThrow(message)
})

test('accepts different paths and shared directories', () => {
  expect(() => addAll(['a/b', 'a/c', 'ab', 'a.b', 'b/a', 'A/d/e', 'a/D/f'])).not.toThrow()
})

test('orders paths by code point, beyond the basic plane too', () => {
  const paths = ['😀', '\uff5e', 'b', 'a/b', 'a', 'B', 'a.b']
  expect(paths.sort(comparePaths)).toEqual(['B', 'a', 'a.b', 'a/b', 'b', '\uff5e', '😀'])
})

test('paths are ordered like their bytes', () => {
  const unit = oneof(
    constantFrom('a', '\ud7ff', '\ue000', '\uffff', '😀', '\u{10ffff}'),
    string({ unit: 'binary', maxLength: 2 }),
  )
  const path = array(unit, { maxLength: 5 }).map((units) => units.join(''))
  assert(
    property(path, path, (left, right) => {
      const byBytes = Buffer.compare(Buffer.from(left), Buffer.from(right))
      expect(Math.sign(comparePaths(left, right))).toBe(byBytes)
    }),
    { numRuns: 300 },
  )
})
