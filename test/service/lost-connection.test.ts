import { afterAll, expect, test, vi } from 'vitest'
import { inTransaction } from '#lib/store/database.ts'
import { openStore } from '../../services/audit/store/orm.ts'
import { createDatabase, runSql } from '../support/database.ts'

const database = await createDatabase()
const store = openStore({ url: database.url, poolSize: 2 })
afterAll(async () => {
  await store.close(true)
  await database.drop()
})

test('transactions with broken connections do not exhaust the pool', async () => {
  for (let attempt = 1; attempt <= 5; attempt += 1) {
    const broken = inTransaction(store, undefined, (em) => em.execute('select pg_sleep(60)')).catch(
      (error: unknown) => (error as Error).message,
    )
    await vi.waitFor(killSleeper, 10_000)
    expect(await broken).toBe('database is unavailable; retry')
  }
  expect(await inTransaction(store, undefined, (em) => em.execute('select 1 as one'))).toEqual([{ one: 1 }])
})

async function killSleeper(): Promise<void> {
  const killed = await runSql(
    database.url,
    `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and wait_event = 'PgSleep' and state = 'active'`,
  )
  expect(killed.length).toBeGreaterThan(0)
}
