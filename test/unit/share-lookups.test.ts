// Lookups of tokens that calls share.
import { expect, test } from 'vitest'
import type { Caller } from '#lib/access/caller.ts'
import { shareLookups } from '#lib/access/share-lookups.ts'
import { CALLERS } from '../support/serving.ts'

const ALICE = Buffer.from('alice')
const caller = CALLERS['mk_reader']!
const never = new AbortController().signal

/** Lookups that a test ends. */
function slowLookups() {
  const begun: { token: string; signal: AbortSignal; end: PromiseWithResolvers<Caller> }[] = []
  const lookUp = shareLookups((hash, signal) => {
    const end = Promise.withResolvers<Caller>()
    begun.push({ token: hash.toString(), signal, end })
    return end.promise
  })
  return { begun, lookUp }
}

test('many calls with one token cost two lookups, and none gets the result of one that began before it', async () => {
  const { begun, lookUp } = slowLookups()
  const first = lookUp(ALICE, never)
  const later = Array.from({ length: 1_000 }, () => lookUp(ALICE, never))
  const other = lookUp(Buffer.from('bob'), never)
  expect(begun.map(({ token }) => token)).toEqual(['alice', 'bob'])
  begun[1]!.end.reject(new Error('unknown'))
  await expect(other).rejects.toThrow('unknown')
  begun[0]!.end.resolve(caller)
  expect(await first).toBe(caller)
  await expect.poll(() => begun).toHaveLength(3)
  begun[2]!.end.reject(new Error('revoked'))
  for (const result of await Promise.allSettled(later)) expect(result.status).toBe('rejected')
  const anew = lookUp(ALICE, never)
  await expect.poll(() => begun).toHaveLength(4)
  begun[3]!.end.resolve(caller)
  expect(await anew).toBe(caller)
})

test('a call that leaves does not wait, and the lookup is cancelled when all have left', async () => {
  const { begun, lookUp } = slowLookups()
  const running = lookUp(ALICE, never)
  const leaving = [new AbortController(), new AbortController()]
  const calls = leaving.map(({ signal }) => lookUp(ALICE, signal))
  begun[0]!.end.resolve(caller)
  await running
  await expect.poll(() => begun).toHaveLength(2)
  leaving[0]!.abort(new Error('left'))
  await expect(calls[0]).rejects.toThrow('left')
  expect(begun[1]!.signal.aborted).toBe(false)
  leaving[1]!.abort(new Error('left'))
  await expect(calls[1]).rejects.toThrow('left')
  expect(begun[1]!.signal.aborted).toBe(true)
  begun[1]!.end.reject(new Error('cancelled'))
})
