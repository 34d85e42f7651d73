// The service as production runs it: with a login that is not a superuser, owns nothing, and may set the service's role.
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hashToken } from '../../services/lib/access/authenticate.ts'
import { forkFor, type Database } from '../../services/lib/store/database.ts'
import { outboxReader } from '../../services/lib/store/outbox.ts'
import { createAdminToken } from '../../services/metadata/admin-token.ts'
import { findCaller } from '../../services/metadata/store/identity/token-lookup.ts'
import { openStore } from '../../services/metadata/store/orm.ts'
import { createDatabase, runSql } from '../support/database.ts'

const testDatabase = await createDatabase()
const login = `app_${randomUUID().slice(0, 8)}`
let database: Database

beforeAll(async () => {
  await runSql(testDatabase.url, `create role ${login} login password 'p@ss w0rd' in role modelkeep_metadata`)
  const url = new URL(testDatabase.url)
  url.username = login
  url.password = 'p@ss w0rd'
  database = openStore({ url: url.href, poolSize: 2 })
})
afterAll(async () => {
  await database.close(true)
  await runSql(testDatabase.url, `drop role ${login}`)
  await testDatabase.drop()
})

test('an ordinary login changes rows and records events', async () => {
  const secret = await createAdminToken(database)
  const { caller } = await findCaller(database, hashToken(secret))
  expect(caller).toMatchObject({ principal: 'admin', roles: new Map([['*', 3]]) })
  const outbox = outboxReader(database, 'metadata')
  expect(await outbox.claim('me', 5)).toBe(0)
  const events = await outbox.read(0, 10)
  expect(events.map(({ type }) => type)).toEqual(['role.granted.v1', 'token.created.v1'])
  await outbox.markSent(2)
  await outbox.release('me')
})

test('an ordinary login cancels the statement of a caller who disconnects', async () => {
  const leaving = new AbortController()
  const sleeping = expect(forkFor(database, leaving.signal).execute('select pg_sleep(62)')).rejects.toThrow()
  const running = () =>
    runSql(testDatabase.url, `select 1 from pg_stat_activity where state = 'active' and query = 'select pg_sleep(62)'`)
  await expect.poll(running).toHaveLength(1)
  leaving.abort()
  await sleeping
  await expect.poll(running).toHaveLength(0)
})

test('an ordinary login cannot reach other schemas or change guards, whatever role it sets', async () => {
  for (const attempt of [
    'reset role; truncate outbox',
    'set role postgres',
    'reset role; drop trigger outbox_immutable on metadata.outbox',
    'select * from artifact.outbox',
    'select * from audit.migration',
    'create table public.mine (id int)',
    `copy token to program 'cat'`,
    `select pg_read_file('/etc/passwd')`,
    'delete from token',
    'set session_replication_role = replica',
  ]) {
    const tried = forkFor(database).execute(attempt)
    await expect(tried, attempt).rejects.toThrow(/permission denied|must be owner|does not exist/)
    await forkFor(database).execute('set role modelkeep_metadata')
  }
})
