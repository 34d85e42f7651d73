// Fair shares of open items and of scheduled work.
import { expect, test } from 'vitest'
import { ShareLimit } from '#lib/server/limits/share-limit.ts'
import { FairScheduler } from '#lib/server/limits/fair-scheduler.ts'

const OVERLOADED = expect.objectContaining({ reason: 'OVERLOADED' })

test('one holder gets three quarters, and others the rest', () => {
  const limit = new ShareLimit(8, 'open streams')
  const mine = Array.from({ length: 6 }, () => limit.enter('alice'))
  expect(() => limit.enter('alice')).toThrow(OVERLOADED)
  expect(() => limit.enter('alice')).toThrow('the caller has too many open streams; retry later')
  limit.enter('bob')
  limit.enter('carol')
  expect(() => limit.enter('dave')).toThrow('the service has too many open streams; retry later')
  mine[0]!()
  // To release twice has no effect.
  mine[0]!()
  expect(limit.open).toBe(7)
  limit.enter('alice')
  expect(() => limit.enter('alice')).toThrow(OVERLOADED)
})

test('a limit of one allows one at a time', () => {
  const limit = new ShareLimit(1, 'open streams')
  limit.enter('alice')()
  limit.enter('alice')
  expect(() => limit.enter('bob')).toThrow(OVERLOADED)
})

test('work that fails and iterations that end early release their slots', async () => {
  const limit = new ShareLimit(4, 'open streams')
  await expect(limit.run('alice', () => Promise.reject(new Error('failed')))).rejects.toThrow('failed')
  const forever = async function* () {
    for (;;) yield limit.open
  }
  for await (const open of limit.pass('alice', forever)) {
    expect(open).toBe(1)
    break
  }
  expect(limit.open).toBe(0)
})

test('a holder with little work does not wait for all the work of another', async () => {
  const scheduler = new FairScheduler(2)
  const order: string[] = []
  let running = 0
  const work = (name: string) => async () => {
    running += 1
    expect(running).toBeLessThanOrEqual(2)
    await new Promise((resolve) => setImmediate(resolve))
    running -= 1
    order.push(name)
  }
  const all = Array.from({ length: 10 }, (_, at) => scheduler.run('alice', work(`alice ${at}`)))
  all.push(scheduler.run('bob', work('bob 0')), scheduler.run('bob', work('bob 1')))
  await Promise.all(all)
  expect(order).toHaveLength(12)
  expect(order.indexOf('bob 0')).toBeLessThan(5)
  expect(order.indexOf('bob 1')).toBeLessThan(8)
  await expect(scheduler.run('alice', () => Promise.reject(new Error('failed')))).rejects.toThrow('failed')
  expect(await scheduler.run('alice', async () => 'still works')).toBe('still works')
})
