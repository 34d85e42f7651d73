import { describe, expect, test } from 'vitest'
import { CliError } from '../../clients/cli/terminal/cli-error.ts'
import {
  parseAliasRef,
  parseExactRef,
  parseModelRef,
  parseNumber,
  parseRef,
  parseVersionRef,
} from '../../clients/cli/arguments/refs.ts'

const DIGEST = `sha256:${'a1'.repeat(32)}`
const ID = '0199f3c2-0000-7000-8000-0123456789ab'

describe('a reference', () => {
  test.each([
    ['vad', 'default', 'vad', undefined],
    ['fraud/scorer', 'fraud', 'scorer', undefined],
    ['vad:7', 'default', 'vad', { case: 'number', value: 7 }],
    ['vad:1.2.0-rc.1+build', 'default', 'vad', { case: 'semver', value: '1.2.0-rc.1+build' }],
    ['fraud/scorer@champion', 'fraud', 'scorer', { case: 'alias', value: 'champion' }],
    ['vad@latest', 'default', 'vad', { case: 'alias', value: 'latest' }],
    [`fraud/scorer@${DIGEST}`, 'fraud', 'scorer', { case: 'digest', value: DIGEST }],
    ['A model v1.5_x-y', 'default', 'A model v1.5_x-y', undefined],
  ])('%s', (text, namespace, model, selector) => {
    expect(parseRef(text)).toEqual({ namespace, model, selector })
  })

  test('may be a UUID in upper or lower case', () => {
    expect(parseRef(ID.toUpperCase())).toEqual({ id: ID })
  })

  test('without a namespace is in the default namespace', () => {
    expect(parseRef('scorer:1', 'fraud')).toMatchObject({ namespace: 'fraud' })
    expect(parseRef('other/scorer:1', 'fraud')).toMatchObject({ namespace: 'other' })
  })

  test.each([
    '',
    'a/b/c',
    '/vad',
    'vad/',
    'Fraud/vad',
    '-x/vad',
    'vad:',
    'vad:0',
    'vad:-1',
    'vad:seven',
    'vad:99999999999',
    'vad@',
    'vad@-x',
    'vad@sha256:12',
    `vad@sha256:${'A1'.repeat(32)}`,
    ' vad',
    'vad\n',
    '../vad',
    'x'.repeat(129),
  ])('is rejected: %j', (text) => {
    expect(() => parseRef(text)).toThrow(CliError)
  })
})

test('rejects a model with a selector, and a version without one', () => {
  expect(parseModelRef('vad')).toEqual({ ref: { case: 'name', value: { namespace: 'default', model: 'vad' } } })
  expect(() => parseModelRef('vad:1')).toThrow('names a version')
  expect(() => parseVersionRef('vad')).toThrow('names a model, not a version')
  expect(parseVersionRef(ID)).toEqual({ ref: { case: 'id', value: ID } })
})

test('rejects an alias for a change', () => {
  expect(() => parseExactRef('vad@production')).toThrow('exact version')
  expect(() => parseExactRef('vad:1.2.0')).toThrow('exact version')
  expect(parseExactRef('vad:3')).toEqual({
    ref: { case: 'name', value: { namespace: 'default', model: 'vad', number: 3 } },
  })
})

test('parses an alias with its model', () => {
  expect(parseAliasRef('fraud/scorer@champion')).toEqual({ namespace: 'fraud', model: 'scorer', alias: 'champion' })
  expect(() => parseAliasRef('fraud/scorer')).toThrow('does not name an alias')
  expect(() => parseAliasRef(`scorer@${DIGEST}`)).toThrow('does not name an alias')
})

test('rejects a version number that is not a positive 32-bit integer', () => {
  expect(parseNumber('2147483647')).toBe(2_147_483_647)
  for (const text of ['0', '2147483648', '1.5', '1e3', '']) expect(() => parseNumber(text)).toThrow(CliError)
})
