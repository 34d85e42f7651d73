// Lists whose caller has cancelled: their SQL is cancelled too.
import { afterAll, expect, test } from 'vitest'
import { inTransaction } from '#lib/store/database.ts'
import { openOwnedStore } from '../../../services/metadata/store/orm.ts'
import { makeModel, startMetadata } from '../../support/metadata.ts'

const metadata = await startMetadata()
const owner = openOwnedStore({ url: metadata.url })
afterAll(() => owner.close(true))
const { admin } = metadata

const waiting = async () =>
  (await metadata.sql(`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`))
    .length

test.each([
  ['versions', (signal: AbortSignal) => admin.versions.listVersions({}, { signal })],
  ['models', (signal: AbortSignal) => admin.models.listModels({}, { signal })],
])('cancels the SQL of a list of %s when the caller cancels', async (_what, list) => {
  await makeModel(admin, `m-${_what}`, 1)
  const locked = Promise.withResolvers<void>()
  const mayEnd = Promise.withResolvers<void>()
  const holder = inTransaction(owner, undefined, async (em) => {
    await em.execute('lock table metadata.model, metadata.version in access exclusive mode')
    locked.resolve()
    await mayEnd.promise
  })
  await locked.promise
  const leaving = new AbortController()
  const call = expect(list(leaving.signal)).rejects.toThrow()
  await expect.poll(waiting).toBe(1)
  leaving.abort()
  await call
  await expect.poll(waiting).toBe(0)
  mayEnd.resolve()
  await holder
  expect(await list(new AbortController().signal)).toBeDefined()
})
