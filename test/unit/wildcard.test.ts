import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { matchesWildcard } from '#lib/wildcard.ts'

test('a pattern without a star is the name itself', () => {
  expect(matchesWildcard('production', 'production')).toBe(true)
  expect(matchesWildcard('production', 'production2')).toBe(false)
  expect(matchesWildcard('prod', 'production')).toBe(false)
  expect(matchesWildcard('Production', 'production')).toBe(false)
})

test('what a star stands for is never taken twice', () => {
  expect(matchesWildcard('aba*aba', 'aba')).toBe(false)
  expect(matchesWildcard('aba*aba', 'ababa')).toBe(false)
  expect(matchesWildcard('aba*aba', 'abaaba')).toBe(true)
  expect(matchesWildcard('a*b*b', 'ab')).toBe(false)
  expect(matchesWildcard('*', '')).toBe(true)
})

test('it finds what a naive search finds', () => {
  const naive = (pattern: string, name: string): boolean => {
    if (pattern === '') return name === ''
    if (pattern[0] !== '*') return pattern[0] === name[0] && naive(pattern.slice(1), name.slice(1))
    return naive(pattern.slice(1), name) || (name !== '' && naive(pattern, name.slice(1)))
  }
  const text = (letters: string) => fc.string({ unit: fc.constantFrom(...letters.split('')), maxLength: 8 })
  fc.assert(
    fc.property(text('a*b'), text('ab'), (pattern, name) => {
      expect(matchesWildcard(pattern, name)).toBe(naive(pattern, name))
    }),
    { numRuns: 2_000 },
  )
})
