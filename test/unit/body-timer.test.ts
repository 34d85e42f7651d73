// How long a body may take that arrives slowly.
import { Code, type ConnectError } from '@connectrpc/connect'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { BodyTimer } from '#lib/server/limits/body-timer.ts'

const KIB = 1024
beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

test('a body is in time while it grows by 256 KiB in each period, and late when it does not', () => {
  const late: ConnectError[] = []
  using timer = new BodyTimer(30, (error) => void late.push(error))
  for (let period = 0; period < 10; period += 1) {
    vi.advanceTimersByTime(29_000)
    timer.count(200 * KIB)
    timer.count(56 * KIB)
  }
  expect(late).toEqual([])
  vi.advanceTimersByTime(29_000)
  timer.count(255 * KIB)
  vi.advanceTimersByTime(1_000)
  expect(late).toMatchObject([
    { code: Code.DeadlineExceeded, rawMessage: 'request body did not arrive within 30 seconds' },
  ])
})

test('leaves no timer behind', () => {
  {
    using _timer = new BodyTimer(30, () => expect.unreachable())
    expect(vi.getTimerCount()).toBe(1)
  }
  expect(vi.getTimerCount()).toBe(0)
})
