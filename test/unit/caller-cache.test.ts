// The callers that a service remembers.
import { expect, test } from 'vitest'
import { createCallerCache, type FoundCaller } from '../../services/lib/access/caller-cache.ts'
import { ANONYMOUS } from '../../services/lib/access/caller.ts'
import { hashToken } from '../../services/lib/access/authenticate.ts'

const { signal } = new AbortController()
const TOKEN = hashToken('mk_alice')
const found = (principal: string): FoundCaller => ({ caller: { ...ANONYMOUS, principal }, expires: Infinity })

/** A cache whose lookups end when the test answers them. */
function pendingLookups() {
  const lookups: PromiseWithResolvers<FoundCaller>[] = []
  const cache = createCallerCache(() => {
    const lookup = Promise.withResolvers<FoundCaller>()
    lookups.push(lookup)
    return lookup.promise
  })
  return { cache, lookups }
}

test('calls with one token share a lookup', async () => {
  const { cache, lookups } = pendingLookups()
  const both = [cache.lookUp(TOKEN, signal), cache.lookUp(TOKEN, signal)]
  lookups[0]!.resolve(found('alice'))
  expect((await Promise.all(both)).map(({ principal }) => principal)).toEqual(['alice', 'alice'])
  expect(lookups).toHaveLength(1)
})

test('looks a caller up again after roles have changed', async () => {
  const { cache, lookups } = pendingLookups()
  const first = cache.lookUp(TOKEN, signal)
  lookups[0]!.resolve(found('alice'))
  await first
  cache.clear()
  void cache.lookUp(TOKEN, signal)
  expect(lookups).toHaveLength(2)
})

test('does not remember what was read before roles changed', async () => {
  const { cache, lookups } = pendingLookups()
  const before = cache.lookUp(TOKEN, signal)
  cache.clear()
  const after = cache.lookUp(TOKEN, signal)
  lookups[1]!.resolve(found('new'))
  lookups[0]!.resolve(found('old'))
  expect((await before).principal).toBe('old')
  expect((await after).principal).toBe('new')
  expect((await cache.lookUp(TOKEN, signal)).principal).toBe('new')
})

test('a failed lookup is not remembered', async () => {
  const { cache, lookups } = pendingLookups()
  const failed = cache.lookUp(TOKEN, signal)
  lookups[0]!.reject(new Error('database is away'))
  await expect(failed).rejects.toThrow('database is away')
  const again = cache.lookUp(TOKEN, signal)
  lookups[1]!.resolve(found('alice'))
  expect((await again).principal).toBe('alice')
})
