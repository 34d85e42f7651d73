import { array, assert, constantFrom, oneof, pre, property, string } from 'fast-check'
import { expect, test } from 'vitest'
import { ModelkeepError } from '../../services/lib/errors/errors.ts'
import { parseFilter, type Filter } from '../../services/lib/lists/filter.ts'

/** Presents the tree as text with all parentheses. */
function show(filter: Filter | undefined): string {
  if (filter === undefined) return ''
  if (filter.kind === 'not') return `not ${show(filter.operand)}`
  if (filter.kind === 'restriction') {
    const { text, quoted } = filter.value
    return `${filter.field.join('|')} ${filter.operator} ${quoted ? JSON.stringify(text) : text}`
  }
  return `(${filter.operands.map(show).join(` ${filter.kind} `)})`
}

test.each([
  ['', ''],
  ['  \n ', ''],
  ['a = 1', 'a = 1'],
  ['a=1', 'a = 1'],
  ['a != 1', 'a != 1'],
  ['a<1 b<=2 c>3 d>=4 e:5', '(a < 1 and b <= 2 and c > 3 and d >= 4 and e : 5)'],
])('reads %j as %s', (text, tree) => expect(show(parseFilter(text))).toBe(tree))

test.each([
  ['a = 1 AND b = 2 OR c = 3', '(a = 1 and (b = 2 or c = 3))'],
  ['a = 1 OR b = 2 AND c = 3', '((a = 1 or b = 2) and c = 3)'],
  ['a = 1 b = 2 OR c = 3', '(a = 1 and (b = 2 or c = 3))'],
  ['(a = 1 AND b = 2) OR c = 3', '((a = 1 and b = 2) or c = 3)'],
  ['NOT a = 1 AND b = 2', '(not a = 1 and b = 2)'],
  ['-a = 1 OR NOT (b = 2 c = 3)', '(not a = 1 or not (b = 2 and c = 3))'],
  ['a = 1 -b = 2', '(a = 1 and not b = 2)'],
  ['((((a = 1))))', 'a = 1'],
])('OR binds tighter than AND, and NOT tightest: %j', (text, tree) => expect(show(parseFilter(text))).toBe(tree))

test.each([
  ['a = "x y"', 'a = "x y"'],
  ['a = \'x "y"\'', 'a = "x \\"y\\""'],
  ['a = "say \\"hi\\" \\\\"', 'a = "say \\"hi\\" \\\\"'],
  ['a = ""', 'a = ""'],
  ['a = "AND"', 'a = "AND"'],
  ['a = "5"', 'a = "5"'],
  ['labels."my key" = x', 'labels|my key = x'],
  ['a="1"b="2"', '(a = "1" and b = "2")'],
])('a quoted text is one value: %j', (text, tree) => expect(show(parseFilter(text))).toBe(tree))

test.each([
  ['metrics.loss < -0.5', 'metrics|loss < -0.5'],
  ['metrics.loss<-0.5', 'metrics|loss < -0.5'],
  ['metrics.f1 >= 0.93', 'metrics|f1 >= 0.93'],
  ['metrics.f1 >= 0.93 AND metrics.n > 3', '(metrics|f1 >= 0.93 and metrics|n > 3)'],
  ['metrics.lr = 1.5e-3', 'metrics|lr = 1.5e-3'],
  ['metrics.1 < 2', 'metrics|1 < 2'],
  ['metrics.top.5 < 2', 'metrics|top|5 < 2'],
  ['create_time > 2026-11-23T04:00:00Z', 'create_time > 2026-11-23T04:00:00Z'],
  ['create_time > 2026-11-23T04:00:00.125+02:00 a = 1', '(create_time > 2026-11-23T04:00:00.125+02:00 and a = 1)'],
  ['semver = 1.2.3-rc.1+build', 'semver = 1.2.3-rc.1+build'],
  ['labels.app.kubernetes.io/name = x', 'labels|app|kubernetes|io/name = x'],
  ['labels.team:*', 'labels|team : *'],
  ['digest = sha256:ab', 'digest = sha256:ab'],
  ['name = модель-7', 'name = модель-7'],
])('accepts numbers, times, versions and paths without quotes: %j', (text, tree) =>
  expect(show(parseFilter(text))).toBe(tree),
)

test.each([
  ['a', 'at the end'],
  ['a =', 'a value at the end'],
  ['= 1', 'a field at position 1, found "="'],
  ['a = 1 AND', 'a field at the end'],
  ['a = 1 OR OR b = 2', 'at position 13, found "b"'],
  ['(a = 1', 'a closing parenthesis at the end'],
  ['a = 1)', 'the end of the filter at position 6, found ")"'],
  ['a = "x', 'an unexpected character at position 4'],
  ['a ! 1', 'an unexpected character at position 2'],
  ['a == 1', 'a value at position 4, found "="'],
  ['a b = 1', 'one of = != < <= > >= : at position 3, found "b"'],
  ['a.. = 1', 'a field at position 3, found "."'],
  ['a = "x\0"', 'an unexpected character at position 7'],
  ['a = \ud800', 'an unexpected character at position 5'],
  ['()', 'a field at position 2, found ")"'],
])('rejects %j and names the position', (text, place) => {
  expect(() => parseFilter(text)).toThrow(place)
  expect(() => parseFilter(text)).toThrow(/^filter /)
})

test('limits nesting, length and the number of conditions', () => {
  const nested = (depth: number) => `${'('.repeat(depth)}a = 1${')'.repeat(depth)}`
  expect(show(parseFilter(nested(19)))).toBe('a = 1')
  expect(() => parseFilter(nested(20))).toThrow('nest deeper than 20')
  expect(() => parseFilter(nested(900))).toThrow('nest deeper than 20')
  const many = (count: number) => Array.from({ length: count }, () => 'a=1').join(' ')
  expect(parseFilter(many(100))).toMatchObject({ kind: 'and' })
  expect(() => parseFilter(many(101))).toThrow('at most 100 conditions')
  expect(parseFilter(`a = ${'é'.repeat(1022)}`)).toMatchObject({ kind: 'restriction' })
  expect(() => parseFilter(`a = ${'é'.repeat(1023)}`)).toThrow('at most 2048 bytes')
})

const pieces = constantFrom(
  'a',
  'AND',
  'OR',
  'NOT',
  '-',
  '(',
  ')',
  '=',
  '!=',
  '<',
  '<=',
  ':',
  '.',
  '"',
  "'",
  '\\',
  ' ',
  '0.5',
  '*',
  '!',
  '\0',
)

test('parses or rejects any text', () => {
  const text = oneof(
    string({ unit: 'binary', maxLength: 200 }),
    array(pieces, { maxLength: 60 }).map((all) => all.join('')),
  )
  assert(
    property(text, (filter) => {
      try {
        parseFilter(filter)
      } catch (error) {
        if (!(error instanceof ModelkeepError)) throw error
        expect(error.metadata['field']).toBe('filter')
      }
    }),
    { numRuns: 2000 },
  )
})

test('parses every quoted text to the original text', () => {
  assert(
    property(string({ maxLength: 100 }), (text) => {
      pre(!text.includes('\n') && !text.includes('\0'))
      const quoted = `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`
      expect(parseFilter(`a = ${quoted}`)).toMatchObject({ value: { text, quoted: true } })
    }),
  )
})
