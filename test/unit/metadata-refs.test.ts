import { expect, test } from 'vitest'
import { parseTargets } from '../../services/metadata/domain/alias-targets.ts'
import {
  parseExactVersionRef,
  parseModelRef,
  parseVersionRef,
  formatModelKey,
  formatVersionKey,
} from '../../services/metadata/domain/refs.ts'

const ID = '0191D3A0-0000-7000-8000-000000000000'
const none = { ref: { case: undefined } }
const byId = (value: string) => ({ ref: { case: 'id' as const, value } })
const named = <T extends object>(value: T) => ({ ref: { case: 'name' as const, value } })
const digest = `sha256:${'a'.repeat(64)}`

test('a model is named by id or by name; an empty namespace is default', () => {
  expect(parseModelRef(byId(ID), 'model')).toEqual({ id: ID.toLowerCase() })
  expect(parseModelRef(named({ namespace: '', model: 'Scorer' }), 'model')).toEqual({
    namespace: 'default',
    model: 'Scorer',
  })
})

test('reports the path of an invalid reference', () => {
  expect(() => parseModelRef(undefined, 'model')).toThrow('model is required')
  expect(() => parseModelRef(none, 'model')).toThrow('model must have id or name')
  expect(() => parseModelRef(byId('7'), 'model')).toThrow('model.id must be a UUID')
  expect(() => parseModelRef(named({ namespace: 'A', model: 'x' }), 'model')).toThrow('model.name.namespace must be')
  expect(() => parseModelRef(named({ namespace: '', model: '' }), 'model')).toThrow('model.name.model is required')
  const version = { namespace: '', model: 'x', number: 0 }
  expect(() => parseExactVersionRef(named(version), 'version')).toThrow('version.name.number must be at least 1')
})

test.each([
  [{ case: 'number' as const, value: 7 }, 'fraud/scorer:7'],
  [{ case: 'alias' as const, value: 'latest' }, 'fraud/scorer@latest'],
  [{ case: 'semver' as const, value: '1.2.3' }, 'fraud/scorer:1.2.3'],
  [{ case: 'digest' as const, value: digest }, `fraud/scorer@${digest}`],
])('parses the selector %j', (selector, written) => {
  const key = parseVersionRef(named({ namespace: 'fraud', model: 'scorer', selector }), 'ref')
  expect(key).toMatchObject({ selector: { kind: selector.case, value: selector.value } })
  expect(formatVersionKey(key)).toBe(written)
})

test.each([
  [{ case: undefined }, 'ref.name must have number, alias, semver or digest'],
  [{ case: 'number' as const, value: -1 }, 'ref.name.number must be at least 1'],
  [{ case: 'alias' as const, value: 'v1' }, 'ref.name.alias must not look like a version number'],
  [{ case: 'semver' as const, value: '' }, 'ref.name.semver must be a version'],
  [{ case: 'digest' as const, value: 'sha256:AA' }, 'ref.name.digest must be "sha256:" and 64'],
])('rejects the selector %j', (selector, message) => {
  const ref = named({ namespace: '', model: 'scorer', selector })
  expect(() => parseVersionRef(ref, 'ref')).toThrow(message)
})

test('formats references as people write them', () => {
  expect(formatModelKey({ namespace: 'default', model: 'x' })).toBe('default/x')
  expect(formatModelKey({ id: ID })).toBe(ID)
  expect(formatVersionKey({ namespace: 'default', model: 'x', number: 3 })).toBe('default/x:3')
})

const target = (name: string, number = 1, expectedNumber = 0) => ({
  name,
  target: { case: 'number' as const, value: number },
  expectedNumber,
})

test('requires 1 to 100 targets of different aliases', () => {
  const many = Array.from({ length: 101 }, (_, index) => target(`a${index}x`))
  expect(parseTargets(many.slice(1))).toHaveLength(100)
  expect(() => parseTargets(many)).toThrow('targets must have at most 100 targets')
  expect(() => parseTargets([])).toThrow('targets must have at least one target')
  expect(() => parseTargets([target('a'), target('b'), target('a')])).toThrow('targets[2].name must be unique')
})

test('requires a number or a removal in each target', () => {
  expect(parseTargets([{ ...target('a', 1, 3), target: { case: 'remove', value: true } }])).toEqual([
    { name: 'a', expected: 3 },
  ])
  expect(() => parseTargets([{ ...target('a'), target: { case: 'remove', value: false } }])).toThrow(
    'targets[0].remove must be true',
  )
  expect(() => parseTargets([{ ...target('a'), target: { case: undefined } }])).toThrow(
    'targets[0] must have number or remove',
  )
  expect(() => parseTargets([target('a', 0)])).toThrow('targets[0].number must be at least 1')
  expect(() => parseTargets([target('a', 1, -1)])).toThrow('targets[0].expected_number must not be negative')
})
