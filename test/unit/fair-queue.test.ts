import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { FairQueue, SERVICE_WORK } from '../../services/lib/process/fair-queue.ts'

const MAX_WAIT_MS = 1_000

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

/** A queue whose calls write their name when they get a slot. */
function startQueue(slots: number) {
  const queue = new FairQueue({ slots, maxWaitMs: MAX_WAIT_MS, what: 'slots' })
  const admitted: string[] = []
  const releases = new Map<string, () => void>()
  const call = (principal: string, name = principal, signal?: AbortSignal): Promise<string> =>
    queue.take(principal, signal).then(
      (release) => {
        admitted.push(name)
        releases.set(name, release)
        return 'admitted'
      },
      (error: unknown) => (error as { reason?: string }).reason ?? String(error),
    )
  const settle = () => vi.advanceTimersByTimeAsync(0)
  const release = async (name: string): Promise<void> => {
    releases.get(name)!()
    await settle()
  }
  return { admitted, call, settle, release }
}

test('gives a principal at most three quarters of the slots, and the rest to others', async () => {
  const { admitted, call, settle } = startQueue(4)
  for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) void call('alice', name)
  await settle()
  expect(admitted).toEqual(['a1', 'a2', 'a3'])
  void call('bob')
  await settle()
  expect(admitted.slice(3)).toEqual(['bob'])
})

test.each([
  [1, 1],
  [2, 1],
  [3, 2],
  [10, 7],
])('of %i slots gives a principal %i', async (slots, share) => {
  const { admitted, call, settle } = startQueue(slots)
  for (let count = 0; count < 20; count += 1) void call('alice')
  await settle()
  expect(admitted).toHaveLength(share)
})

test('does not limit the work of the service itself', async () => {
  const { admitted, call, settle } = startQueue(4)
  for (const name of ['1', '2', '3', '4']) void call(SERVICE_WORK, name)
  await settle()
  expect(admitted).toEqual(['1', '2', '3', '4'])
})

test('gives turns in a circle of principals, and to each in the order of its calls', async () => {
  const { admitted, call, settle, release } = startQueue(1)
  for (const name of ['a1', 'a2', 'a3', 'a4']) void call('alice', name)
  for (const name of ['b1', 'b2']) void call('bob', name)
  void call('carol', 'c1')
  await settle()
  for (const name of ['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4']) {
    expect(admitted.at(-1)).toBe(name)
    await release(name)
  }
  expect(admitted).toHaveLength(7)
})

test('passes over a principal at its share, and admits it once it has released a slot', async () => {
  const { admitted, call, settle, release } = startQueue(4)
  for (const name of ['a1', 'a2', 'a3', 'a4']) void call('alice', name)
  for (const name of ['b1', 'b2']) void call('bob', name)
  await settle()
  expect(admitted).toEqual(['a1', 'a2', 'a3', 'b1'])
  await release('b1')
  expect(admitted.at(-1)).toBe('b2')
  await release('a2')
  expect(admitted.at(-1)).toBe('a4')
})

test('rejects a call that waits too long, with OVERLOADED, and clears the timer of a call that does not', async () => {
  const { call, settle, release, admitted } = startQueue(1)
  void call('alice', 'a1')
  const late = call('bob', 'late')
  await vi.advanceTimersByTimeAsync(MAX_WAIT_MS - 1)
  void call('bob', 'b2')
  await vi.advanceTimersByTimeAsync(1)
  expect(await late).toBe('OVERLOADED')
  await release('a1')
  expect(admitted).toEqual(['a1', 'b2'])
  await settle()
  expect(vi.getTimerCount()).toBe(0)
})

test('ends the wait of a cancelled call, and gives the slot to the next call', async () => {
  const { call, admitted, release } = startQueue(1)
  void call('alice', 'a1')
  const leaving = new AbortController()
  const left = call('bob', 'left', leaving.signal)
  void call('bob', 'b2')
  leaving.abort('gone')
  expect(await left).toBe('gone')
  await release('a1')
  expect(admitted).toEqual(['a1', 'b2'])
  expect(await call('carol', 'c1', AbortSignal.abort('gone before'))).toBe('gone before')
})

test('gives no slot to a call that is cancelled while a slot is released', async () => {
  const { call, admitted, settle, release } = startQueue(1)
  void call('alice', 'a1')
  const leaving = new AbortController()
  const left = call('bob', 'left', leaving.signal)
  await settle()
  leaving.signal.addEventListener('abort', () => void release('a1'))
  leaving.abort('gone')
  expect(await left).toBe('gone')
  expect(await call('carol', 'c1')).toBe('admitted')
  expect(admitted).toEqual(['a1', 'c1'])
})

test('counts a slot that is released twice once', async () => {
  const { call, admitted, settle, release } = startQueue(1)
  for (const name of ['a1', 'a2', 'a3']) void call('alice', name)
  await settle()
  await release('a1')
  await release('a1')
  expect(admitted).toEqual(['a1', 'a2'])
})
