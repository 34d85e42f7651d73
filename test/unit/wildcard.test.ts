import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { matchesWildcard } from '#lib/lists/wildcard.ts'
import { matchesPattern } from '../../clients/verifier/replay/wildcard.ts'

describe.each([
  ['the service', matchesWildcard],
  ['the verifier', matchesPattern],
])('the rule of %s', (_, matches) => {
  test('a pattern without a star matches only the name itself', () => {
    expect(matches('production', 'production')).toBe(true)
    expect(matches('production', 'production2')).toBe(false)
    expect(matches('prod', 'production')).toBe(false)
    expect(matches('Production', 'production')).toBe(false)
  })

  test('no character matches two parts of a pattern', () => {
    expect(matches('aba*aba', 'aba')).toBe(false)
    expect(matches('aba*aba', 'ababa')).toBe(false)
    expect(matches('aba*aba', 'abaaba')).toBe(true)
    expect(matches('a*b*b', 'ab')).toBe(false)
    expect(matches('*', '')).toBe(true)
  })

  test('matches like a naive search', () => {
    const naive = (pattern: string, name: string): boolean => {
      if (pattern === '') return name === ''
      if (pattern[0] !== '*') return pattern[0] === name[0] && naive(pattern.slice(1), name.slice(1))
      return naive(pattern.slice(1), name) || (name !== '' && naive(pattern, name.slice(1)))
    }
    const text = (letters: string) => fc.string({ unit: fc.constantFrom(...letters.split('')), maxLength: 8 })
    fc.assert(
      fc.property(text('a*b'), text('ab'), (pattern, name) => {
        expect(matches(pattern, name)).toBe(naive(pattern, name))
      }),
      { numRuns: 2_000 },
    )
  })
})

test('reports a pattern or alias over the length limit as a match at no cost', () => {
  const long = 'a'.repeat(257)
  expect(matchesPattern(long, 'b')).toBe(true)
  expect(matchesPattern('b', long)).toBe(true)
  expect(matchesPattern('a'.repeat(256), 'b')).toBe(false)
  expect(matchesPattern('b', 'a'.repeat(256))).toBe(false)
})
