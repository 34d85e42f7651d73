// The expiry job and a change that ends the same promotion at the same time.
import { afterAll, expect, test } from 'vitest'
import { inTransaction } from '#lib/store/database.ts'
import { openOwnedStore } from '../../../services/metadata/store/orm.ts'
import { startMetadata } from '../../support/metadata.ts'
import { createNamespacesFor, production } from '../../support/promotion-namespace.ts'

const metadata = await startMetadata()
const owner = openOwnedStore({ url: metadata.url })
afterAll(() => owner.close(true))
const startNamespace = createNamespacesFor(metadata)

/** Runs the statements in a transaction that stays open. Returns the function that commits it. */
async function hold(...statements: string[]): Promise<() => Promise<void>> {
  const held = Promise.withResolvers<void>()
  const mayEnd = Promise.withResolvers<void>()
  const holder = inTransaction(owner, undefined, async (em) => {
    for (const statement of statements) await em.execute(statement)
    held.resolve()
    await mayEnd.promise
  })
  await Promise.race([held.promise, holder])
  return async () => {
    mayEnd.resolve()
    await holder
  }
}

const waitingFor = async (word: string) =>
  (
    await metadata.sql(`select 1 from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like '%${word}%'`)
  ).length

test('records no expiry of a promotion that was voided while the job waited for it', async () => {
  const room = await startNamespace(production({ approvalsRequired: 1 }))
  const { id, modelId } = (await room.request(room.bob, 1)).promotion!
  const lockModel = `select from metadata.model where id = '${modelId}' for update`
  const asReplica = 'set local session_replication_role = replica'
  const releaseModel = await hold(lockModel)
  await metadata.sql(
    `begin; ${asReplica}; update metadata.promotion set expire_time = now() where id = '${id}'; commit`,
  )
  await expect.poll(() => waitingFor('model'), { timeout: 30_000 }).toBe(2)
  const commitEnd = await hold(
    asReplica,
    `update metadata.promotion set state = 'VOIDED', close_time = now() where id = '${id}'`,
  )
  await releaseModel()
  await expect.poll(() => waitingFor('promotion'), { timeout: 30_000 }).toBe(1)
  await commitEnd()
  const jobsAreDone = await hold(lockModel)
  await jobsAreDone()
  const events = await metadata.sql(`select from metadata.outbox where resource_id = '${id}'
    and event ->> 'type' = 'promotion.expired.v1'`)
  expect(events).toEqual([])
})
