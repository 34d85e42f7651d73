// Costly filters on the log, and watches that wait for the database.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { inTransaction } from '#lib/store/database.ts'
import { openOwnedStore } from '../../../services/audit/store/orm.ts'
import { makeEvents, startAudit, type RunningAudit } from '../../support/audit.ts'
import { createDatabase, runSql, type TestDatabase } from '../../support/database.ts'
import { refusalOf } from '../../support/refusal.ts'
import { anyOf } from '../../support/seeded-versions.ts'

const ENTRIES = 2_000
const BATCH = 250

let database: TestDatabase
let audit: RunningAudit

beforeAll(async () => {
  database = await createDatabase()
  audit = await startAudit(database.url)
  for (let first = 1; first <= ENTRIES; first += BATCH) {
    await audit.ingest.appendEvents({
      events: makeEvents(first, BATCH, { reason: `because ${'of this '.repeat(50)}` }),
    })
  }
})
afterAll(async () => {
  await audit.close()
  await database.drop()
})

/** When each condition read and parsed the reasons again, these filters took 2.0 s and 2.9 s. */
test.each([
  ['=', 800],
  [':', 2_000],
])('answers a filter with a hundred conditions "reason%s…" in time', async (operator, limitMs) => {
  const filter = anyOf((index) => `reason${operator}y${index}`, 100)
  const began = performance.now()
  const { entries } = await audit.log.listEntries({ filter })
  expect(entries).toEqual([])
  expect(performance.now() - began).toBeLessThan(limitMs)
})

test('rejects lists and watches with a filter that takes too long', async () => {
  const hasty = await startAudit(database.url, { store: { filterMs: 20 } })
  const filter = anyOf((index) => `reason:y${index}`, 100)
  const firstOf = async (messages: AsyncIterable<unknown>): Promise<unknown> => {
    for await (const message of messages) return message
  }
  for (const call of [hasty.log.listEntries({ filter }), firstOf(hasty.log.watchEntries({ filter }))]) {
    expect(await refusalOf(call)).toMatchObject({
      code: 'ResourceExhausted',
      reason: 'FILTER_TOO_EXPENSIVE',
      fields: ['filter'],
      message: expect.stringContaining('add one on index, namespace, actor') as string,
    })
  }
  await hasty.close()
})

test('lets watches read the log two at a time, so that other calls have connections', async () => {
  const small = await startAudit(database.url, { store: { poolSize: 4 } })
  small.known.set('mk_hog', { principal: 'hog', roles: { '*': Role.READER } })
  const hog = small.client(LogService, 'mk_hog')
  const owner = openOwnedStore({ url: database.url })
  const waiting = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
    and application_name = 'modelkeep_audit_calls'`
  const leaving = new AbortController()
  await inTransaction(owner, undefined, async (em) => {
    await em.execute('lock table entry in access exclusive mode')
    const watches = Array.from({ length: 8 }, async () => {
      for await (const _ of hog.watchEntries({}, { signal: leaving.signal }));
    })
    const ended = Promise.all(watches.map((watch) => expect(watch).rejects.toThrow()))
    await expect.poll(() => runSql(database.url, waiting)).toHaveLength(2)
    // The proof needs no entries.
    expect((await small.proofs.getConsistencyProof({ oldSize: 1n, newSize: 2n })).hashes).toHaveLength(1)
    expect(await runSql(database.url, waiting)).toHaveLength(2)
    leaving.abort()
    await ended
  })
  await owner.close(true)
  await small.close()
})
