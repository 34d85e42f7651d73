// One principal that calls as much as it can, beside an honest one. Before, its calls took all connections of the service.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { HealthCheckResponse_ServingStatus as Status } from '#gen/health/v1/health_pb.ts'
import { inTransaction } from '#lib/store/database.ts'
import { openOwnedStore } from '../../../services/metadata/store/orm.ts'
import { byName, makeModel, newName, selected, startMetadata, type Clients } from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'
import { anyOf, DATASETS, seedVersions } from '../../support/seeded-versions.ts'

const POOL_SIZE = 4
const SHARE = 3
const CALLS = 12

const metadata = await startMetadata({ store: { poolSize: POOL_SIZE, filterMs: 200 } })
const owner = openOwnedStore({ url: metadata.url })
afterAll(() => owner.close(true))
const { admin } = metadata
let hog: Clients
let honest: Clients

beforeAll(async () => {
  await makeModel(admin, 'many', 1)
  await seedVersions(metadata.url, DATASETS, 300)
  await makeModel(admin, 'locked')
  hog = await metadata.member({ '*': 'CONTRIBUTOR' })
  honest = await metadata.member({ '*': 'CONTRIBUTOR' })
})

/** Several seconds of work for the database. */
const COSTLY = anyOf((index) => `datasets.name:y${index}`, 80)

/** Calls that need authentication, a read, a change, a filter and a health check. */
async function callHonestly(): Promise<void> {
  const { version } = await honest.versions.resolveVersion({ ref: selected('many', { case: 'number', value: 1 }) })
  expect(version?.number).toBe(1)
  await honest.models.createModel({ name: newName() })
  const { versions } = await honest.versions.listVersions({ model: byName('many'), filter: 'number = 1' })
  expect(versions).toHaveLength(1)
  expect(await honest.health.check({})).toMatchObject({ status: Status.SERVING })
}

const countIn = async (pool: string, state: string): Promise<number> =>
  (
    await metadata.sql(`select 1 from pg_stat_activity where datname = current_database()
      and application_name = 'modelkeep_metadata_${pool}' and ${state}`)
  ).length

test('rejects filters that take too long, and serves other calls meanwhile', async () => {
  let open = CALLS
  const calls = Array.from({ length: CALLS }, () =>
    refusalOf(hog.versions.listVersions({ model: byName('many'), filter: COSTLY })).finally(() => (open -= 1)),
  )
  await expect.poll(() => countIn('searches', `state = 'active'`)).toBe(1)
  await callHonestly()
  expect(open).toBeGreaterThan(0)
  for (const refusal of await Promise.all(calls)) {
    expect(refusal).toMatchObject({
      code: 'ResourceExhausted',
      reason: 'FILTER_TOO_EXPENSIVE',
      fields: ['filter'],
      metadata: { field: 'filter', narrow: 'number, semver, digest or create_time' },
    })
    expect(refusal.message).toContain('use fewer conditions')
  }
})

test('answers the same filter once it is narrow', async () => {
  const filter = `number = 3 AND (${COSTLY})`
  expect(await hog.versions.listVersions({ model: byName('many'), filter })).toMatchObject({ versions: [] })
})

test('limits a principal with waiting calls to three quarters of the connections', async () => {
  const mayEnd = Promise.withResolvers<void>()
  const locked = Promise.withResolvers<void>()
  const holder = inTransaction(owner, undefined, async (em) => {
    await em.execute(`select from model where name = 'locked' for update`)
    locked.resolve()
    await mayEnd.promise
  })
  await locked.promise
  const calls = Array.from({ length: CALLS }, (_, index) =>
    hog.models.updateModel({
      model: byName('locked'),
      description: `${index}`,
      updateMask: { paths: ['description'] },
    }),
  )
  const answered = Promise.all(calls)
  try {
    await expect.poll(() => countIn('calls', `wait_event_type = 'Lock'`)).toBe(SHARE)
    await callHonestly()
    expect(await countIn('calls', `wait_event_type = 'Lock'`)).toBe(SHARE)
  } finally {
    mayEnd.resolve()
    await holder
  }
  expect(await answered).toHaveLength(CALLS)
})
