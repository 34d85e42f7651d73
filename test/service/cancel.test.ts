// A call whose caller disconnects cancels its SQL, rolls its transaction back, and returns a usable connection to the pool.
import { randomUUID } from 'node:crypto'
import { afterAll, expect, test } from 'vitest'
import { forkFor, inTransaction } from '../../services/lib/store/database.ts'
import { emitAs } from '../../services/lib/store/outbox.ts'
import { openStore } from '../../services/metadata/store/orm.ts'
import { createDatabase, runSql } from '../support/database.ts'

const testDatabase = await createDatabase()
const database = openStore({ url: testDatabase.url, poolSize: 2 })
afterAll(async () => {
  await database.close(true)
  await testDatabase.drop()
})

async function countActive(part: string): Promise<number> {
  const rows = await runSql(
    testDatabase.url,
    `select 1 from pg_stat_activity where datname = current_database() and state = 'active'
      and pid <> pg_backend_pid() and query like ?`,
    [`%${part}%`],
  )
  return rows.length
}

const countEvents = async (): Promise<number> =>
  (await runSql(testDatabase.url, 'select 1 from metadata.outbox')).length

async function works(): Promise<void> {
  const rows = await Promise.all(
    Array.from({ length: 4 }, (_, index) =>
      inTransaction(database, new AbortController().signal, (em) => em.execute('select ?::int as value', [index])),
    ),
  )
  expect(rows.flat()).toEqual([{ value: 0 }, { value: 1 }, { value: 2 }, { value: 3 }])
}

test('cancels a running statement, rolls its transaction back, and reuses its connection', async () => {
  const before = await countEvents()
  for (let round = 0; round < 6; round += 1) {
    const leaving = new AbortController()
    const call = inTransaction(database, leaving.signal, async (em) => {
      const resource = { type: 'model', id: randomUUID(), namespace: 'default', name: 'default/x' }
      emitAs(em, 'service:metadata', { type: 'model.created.v1', resource })
      await em.flush()
      await em.execute('select pg_sleep(60)')
    })
    const ended = expect(call).rejects.toThrow()
    await expect.poll(() => countActive('pg_sleep')).toBe(1)
    leaving.abort()
    await ended
    await expect.poll(() => countActive('pg_sleep')).toBe(0)
  }
  expect(await countEvents()).toBe(before)
  await works()
})

test('cancels a read outside a transaction, and a statement that waits for a lock', async () => {
  const leaving = new AbortController()
  const read = expect(forkFor(database, leaving.signal).execute('select pg_sleep(61)')).rejects.toThrow()
  await expect.poll(() => countActive('pg_sleep(61)')).toBe(1)
  leaving.abort()
  await read
  await expect.poll(() => countActive('pg_sleep(61)')).toBe(0)

  const LOCK = 'select last_sequence from outbox_counter for update'
  const locked = Promise.withResolvers<void>()
  const mayEnd = Promise.withResolvers<void>()
  const holder = inTransaction(database, undefined, async (em) => {
    await em.execute(LOCK)
    locked.resolve()
    await mayEnd.promise
  })
  await locked.promise
  const waiting = new AbortController()
  const blocked = expect(inTransaction(database, waiting.signal, (em) => em.execute(LOCK))).rejects.toThrow()
  await expect.poll(() => countActive('for update')).toBe(1)
  waiting.abort()
  await blocked
  await expect.poll(() => countActive('for update')).toBe(0)
  mayEnd.resolve()
  await holder
  await works()
})

test('ends the wait for a connection when the caller disconnects', async () => {
  const single = openStore({ url: testDatabase.url, poolSize: 1 })
  const held = Promise.withResolvers<void>()
  const mayEnd = Promise.withResolvers<void>()
  const holder = inTransaction(single, undefined, async (em) => {
    await em.execute('select 1')
    held.resolve()
    await mayEnd.promise
  })
  await held.promise
  const leaving = new AbortController()
  const calls = [
    inTransaction(single, leaving.signal, (em) => em.execute('select 1')),
    forkFor(single, leaving.signal).execute('select 1'),
  ]
  const ended = Promise.all(calls.map((call) => expect(call).rejects.toThrow('gone')))
  leaving.abort(new Error('gone'))
  await ended
  mayEnd.resolve()
  await holder
  expect(await forkFor(single).execute('select 1 as one')).toEqual([{ one: 1 }])
  await single.close(true)
})

test('does nothing for a call that was cancelled before it started', async () => {
  let ran = false
  const call = inTransaction(database, AbortSignal.abort(), async (em) => {
    ran = true
    await em.execute('select 1')
  })
  await expect(call).rejects.toThrow()
  expect(ran).toBe(false)
  await works()
})

test('ignores a cancellation after the call has ended', async () => {
  const leaving = new AbortController()
  await inTransaction(database, leaving.signal, (em) => em.execute('select 1'))
  leaving.abort()
  await works()
})
