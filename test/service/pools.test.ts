// The pools of a service: their time limits, and their rights.
import type { Client as PgClient } from 'pg'
import { afterAll, expect, test, vi } from 'vitest'
import { toConnectError } from '#lib/errors/connect-error.ts'
import { reasonOf } from '#lib/errors/read-error.ts'
import { forkFor, inTransaction, type Database } from '#lib/store/database.ts'
import { Token } from '../../services/metadata/store/identity/token.ts'
import { openOwnedStore, openStore } from '../../services/metadata/store/orm.ts'
import { createDatabase, runSql } from '../support/database.ts'

const testDatabase = await createDatabase()
const { url } = testDatabase
const database = openStore({ url, poolSize: 3, statementMs: 100, filterMs: 50 })
afterAll(async () => {
  await database.close(true)
  await testDatabase.drop()
})

const POOLS: [name: string, pool: Database, limit: string][] = [
  ['calls', database, '100ms'],
  ['searches', database.searches, '50ms'],
  ['jobs', database.jobs, '0'],
  ['identity', database.identity, '5s'],
  ['health', database.health, '5s'],
]

test.each(POOLS)(
  'the pool of %s has its time limit, its name and the rights of the service',
  async (name, pool, limit) => {
    const [row] = await forkFor(pool).execute(
      `select current_setting('statement_timeout') as limit, current_setting('application_name') as name,
      current_user as role, current_schema as schema`,
    )
    const expected = { limit, name: `modelkeep_metadata_${name}`, role: 'modelkeep_metadata', schema: 'metadata' }
    expect(row).toEqual(expected)
  },
)

test('a connection that cancels a statement does not end the process when the database closes it', async () => {
  const connection = database.em.getConnection()
  const { Client, options } = (await connection.getNativeClient()) as unknown as {
    Client: typeof PgClient
    options: object
  }
  // As Kysely does it.
  const client = new Client(options)
  await client.connect()
  const [row] = (await client.query('select pg_backend_pid() as pid')).rows as { pid: number }[]
  await runSql(url, 'select pg_terminate_backend(?)', [row!.pid])
  await expect(client.query('select 1')).rejects.toThrow()
})

test('ends a statement of a call at its time limit, and no statement of background work', async () => {
  const statement = 'select pg_sleep(0.3)'
  const refused = { reason: 'DEPENDENCY_UNAVAILABLE', metadata: { dependency: 'database' } }
  const call = inTransaction(database, undefined, (em) => em.execute(statement))
  await expect(call).rejects.toMatchObject(refused)
  await inTransaction(database.jobs, undefined, (em) => em.execute(statement))
  expect(await forkFor(database).execute('select 1 as one')).toEqual([{ one: 1 }])
})

test('rejects work that waits ten seconds for a connection, with OVERLOADED', async () => {
  const single = openStore({ url, poolSize: 1 })
  const held = Promise.withResolvers<void>()
  const mayEnd = Promise.withResolvers<void>()
  const holder = inTransaction(single, undefined, async (em) => {
    await em.execute('select 1')
    held.resolve()
    await mayEnd.promise
  })
  await held.promise
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const works = [
    () => forkFor(single).execute('select 1'),
    () => forkFor(single).find(Token, {}),
    () => inTransaction(single, undefined, (em) => em.execute('select 1')),
  ]
  const refused = Promise.all(works.map((work) => work().catch((error: unknown) => reasonOf(toConnectError(error)))))
  await vi.advanceTimersByTimeAsync(10_000)
  vi.useRealTimers()
  expect(await refused).toEqual(works.map(() => ({ reason: 'OVERLOADED', metadata: {} })))
  mayEnd.resolve()
  await holder
  await single.close(true)
})

test('sets no time limit for migrations', async () => {
  const owned = openOwnedStore({ url })
  expect(await forkFor(owned).execute('show statement_timeout')).toEqual([{ statement_timeout: '0' }])
  await owned.close(true)
})

test('closes the connections of all pools', async () => {
  const other = openStore({ url })
  const pids: number[] = []
  for (const pool of [other, other.searches, other.jobs, other.identity, other.health]) {
    const [row] = await forkFor(pool).execute<{ pid: number }[]>('select pg_backend_pid() as pid')
    pids.push(row!.pid)
  }
  await other.close(true)
  const open = () => runSql(url, `select pid from pg_stat_activity where pid in (${pids.join(', ')})`)
  await expect.poll(open).toEqual([])
})
