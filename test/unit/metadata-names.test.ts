import { expect, test } from 'vitest'
import { parseLabels } from '../../services/metadata/domain/labels.ts'
import { parseMask } from '../../services/metadata/domain/masks.ts'
import {
  nameKey,
  parseAliasName,
  parseModelName,
  parseNamespace,
  parseNamespaceName,
  parseNumber,
  parseSelectorAlias,
  parseSemver,
} from '../../services/metadata/domain/names.ts'
import { parseModelOrder, parseVersionOrder } from '../../services/metadata/domain/orders.ts'
import { parseLine, parseText } from '../../services/metadata/domain/text.ts'

test.each(['a', '0', 'fraud', 'a-', 'a'.repeat(63)])('accepts the namespace %s', (name) => {
  expect(parseNamespaceName(name, 'namespace')).toBe(name)
})

test.each(['-a', 'A', 'a_b', 'a.b', 'a/b', '*', '..', 'ä', 'a\n', 'a\0', 'a'.repeat(64), '1 '])(
  'rejects the namespace %j',
  (name) => expect(() => parseNamespaceName(name, 'namespace')).toThrow('namespace must be 1 to 63 characters'),
)

test('reads an empty namespace as default where optional, and rejects it where required', () => {
  expect(parseNamespace('', 'namespace')).toBe('default')
  expect(() => parseNamespaceName('', 'name')).toThrow('name is required')
})

test.each(['a', 'A b', 'x.y_z-1', '7', 'a'.repeat(128)])('accepts the model name %s', (name) => {
  expect(parseModelName(name, 'name')).toBe(name)
})

test.each([' a', 'a ', '.a', 'a-', '-', 'a/b', 'a\tb', 'é', 'a\u202Eb', 'a\n', 'a'.repeat(129), '../x', 'a:b', 'a@b'])(
  'rejects the model name %j',
  (name) => expect(() => parseModelName(name, 'name')).toThrow('name must be 1 to 128 characters'),
)

test('compares model names without case', () => {
  expect(nameKey('Fraud Scorer')).toBe(nameKey('fraud scorer'))
  expect(nameKey('fraud.scorer')).not.toBe(nameKey('fraud scorer'))
})

test.each(['production', 'a', 'V', 'vv1', 'v1.0', '1a', 'x'.repeat(128)])('accepts the alias %s', (name) => {
  expect(parseAliasName(name, 'name')).toBe(name)
})

test.each([
  ['', 'is required'],
  ['latest', 'must not be "latest"'],
  ['12', 'must not look like a version number'],
  ['v12', 'must not look like a version number'],
  ['-a', 'must be 1 to 128 characters'],
  ['a b', 'must be 1 to 128 characters'],
  ['é', 'must be 1 to 128 characters'],
  ['x'.repeat(129), 'must be 1 to 128 characters'],
])('rejects the alias %j: it %s', (name, rule) => {
  expect(() => parseAliasName(name, 'targets[0].name')).toThrow(`targets[0].name ${rule}`)
})

test('accepts latest in a read, and rejects it in a change', () => {
  expect(parseSelectorAlias('latest', 'alias')).toBe('latest')
})

test.each(['0.0.0', '1.2.3', '1.2.3-rc.1', '1.0.0-alpha+build.5', '10.20.30+x'])('accepts the semver %s', (semver) => {
  expect(parseSemver(semver, 'semver')).toBe(semver)
})

test.each(['1', '1.2', '01.2.3', 'v1.2.3', '1.2.3-', '1.2.3-01', '1.2.3+', '1.2.3 ', '1.2.3\n', 'x'])(
  'rejects the semver %j',
  (semver) => expect(() => parseSemver(semver, 'semver')).toThrow('semver must be a version by Semantic Versioning'),
)

test('limits a semver to 255 characters', () => {
  expect(parseSemver(`1.0.0-${'a'.repeat(249)}`, 'semver')).toHaveLength(255)
  expect(() => parseSemver(`1.0.0-${'a'.repeat(250)}`, 'semver')).toThrow('semver must have at most 255 characters')
})

test('rejects version numbers below 1', () => {
  expect(parseNumber(1, 'number')).toBe(1)
  for (const number of [0, -1]) expect(() => parseNumber(number, 'number')).toThrow('number must be at least 1')
})

test('accepts 64 labels and rejects 65; limits keys to 1–63 characters and values to 255', () => {
  const labels = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 'v']))
  expect(parseLabels(labels(64))).toEqual(labels(64))
  expect(() => parseLabels(labels(65))).toThrow('labels must have at most 64 labels')
  expect(parseLabels({ ['🦊'.repeat(63)]: '🦊'.repeat(255) })).toBeDefined()
  expect(() => parseLabels({ ['k'.repeat(64)]: '' })).toThrow('labels must have at most 63 characters in a key')
  expect(() => parseLabels({ k: 'v'.repeat(256) })).toThrow('labels["k"] must have at most 255 characters')
  expect(() => parseLabels({ '': 'v' })).toThrow('labels must not have an empty key')
  expect(() => parseLabels({ 'a\n': '' })).toThrow('labels must have keys of one line')
  expect(() => parseLabels({ k: 'a\0' })).toThrow('control characters')
})

test('limits texts in bytes and lines in characters; rejects what a database cannot store', () => {
  expect(parseText('ä'.repeat(4), 'text', 8)).toBe('ääää')
  expect(() => parseText('ä'.repeat(4), 'text', 7)).toThrow('text must have at most 7 bytes')
  expect(parseText('# a\n\tb', 'text', 100)).toBe('# a\n\tb')
  expect(parseLine('🦊🦊', 'line', 2)).toBe('🦊🦊')
  expect(() => parseLine('abc', 'line', 2)).toThrow('line must have at most 2 characters')
  for (const text of ['a\0b', '\ud800']) expect(() => parseText(text, 'text', 9)).toThrow('text must be Unicode')
  for (const text of ['a\nb', 'a\0b', 'a\u2028b', '\ud800', '\u001b[31m']) {
    expect(() => parseLine(text, 'line', 99)).toThrow('line must be one line')
  }
})

test('rejects a mask without fields or with unknown ones', () => {
  expect(parseMask({ paths: ['owner', 'labels', 'owner'] }, ['owner', 'labels'])).toEqual(new Set(['owner', 'labels']))
  expect(() => parseMask(undefined, ['owner'])).toThrow('update_mask is required; known fields: owner')
  expect(() => parseMask({ paths: [] }, ['owner'])).toThrow('update_mask is required')
  for (const path of ['name', '*', '', 'owner.x', '__proto__']) {
    expect(() => parseMask({ paths: [path] }, ['owner'])).toThrow('update_mask must contain only owner')
  }
})

test('parses orders with default, direction and known fields only', () => {
  expect(parseModelOrder('')).toEqual({ by: 'name', descending: false })
  expect(parseModelOrder(' update_time  desc ')).toEqual({ by: 'update_time', descending: true })
  expect(parseVersionOrder('', true)).toEqual({ by: 'number', descending: true })
  expect(parseVersionOrder('', false)).toEqual({ by: 'create_time', descending: true })
  expect(parseVersionOrder('number asc', true)).toEqual({ by: 'number', descending: false })
  expect(parseVersionOrder('metrics.val loss.1 desc', false)).toEqual({
    by: 'metric',
    metric: 'val loss.1',
    descending: true,
  })
  expect(() => parseVersionOrder('number', false)).toThrow('order_by must not be "number" without a model')
  expect(() => parseVersionOrder('metrics.', true)).toThrow('order_by is required')
  for (const text of ['name desc desc', 'name;drop', 'labels', 'number', ' '.repeat(400)]) {
    expect(() => parseModelOrder(text)).toThrow('order_by')
  }
})
