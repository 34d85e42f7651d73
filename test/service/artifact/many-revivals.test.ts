import { afterAll, expect, test } from 'vitest'
import { inTransaction } from '#lib/store/database.ts'
import { extendLeases } from '../../../services/artifact/store/blobs/blob-lease.ts'
import { bySystem, type Emit } from '../../../services/artifact/store/events.ts'
import { openStore } from '../../../services/artifact/store/orm.ts'
import { createDatabase, runSql } from '../../support/database.ts'

const BLOBS = 1_000
const database = await createDatabase()
const store = openStore({ url: database.url })
afterAll(async () => {
  await store.close(true)
  await database.drop()
})

const digestAt = (index: number): string => `sha256:${index.toString(16).padStart(64, '0')}`

/** Inserts condemned blobs, without the events that made them so. */
async function insertCondemned(): Promise<void> {
  const digest = `'sha256:' || lpad(to_hex(index), 64, '0')`
  const some = `generate_series(0, ${BLOBS - 1}) index`
  await runSql(
    database.url,
    `do $$ begin
      perform set_config('session_replication_role', 'replica', true);
      insert into artifact.blob (digest, size_bytes, part_size_bytes, part_sha256s, object_key, state)
        select ${digest}, 3, 16777216, sha256('abc'), 'objects/' || index, 'PRESENT' from ${some};
      insert into artifact.namespace_blob (namespace, digest, condemn_time) select 'default', ${digest}, now() from ${some};
    end $$`,
  )
}

test('revives a thousand blobs with an event each, and lets others work meanwhile', async () => {
  await insertCondemned()
  let inTurn = 0
  let most = 0
  const emit: Emit = (em, init) => {
    if (inTurn === 0) setImmediate(() => (inTurn = 0))
    most = Math.max(most, (inTurn += 1))
    bySystem(em, init)
  }
  const digests = Array.from({ length: BLOBS }, (_, index) => digestAt(index))
  const sizes = await inTransaction(store, undefined, (em) => extendLeases(em, emit, 'default', digests))
  expect(sizes.size).toBe(BLOBS)
  expect(most).toBeLessThan(BLOBS / 2)
  const revived = await runSql(
    database.url,
    `select distinct resource_id from artifact.outbox where event ->> 'type' = 'blob.revived.v1' and sequence is not null`,
  )
  expect(revived).toHaveLength(BLOBS)
  const condemned = await runSql(database.url, 'select 1 from artifact.namespace_blob where condemn_time is not null')
  expect(condemned).toEqual([])
})

test('a transaction that fails revives nothing and leaves no event', async () => {
  await runSql(
    database.url,
    `do $$ begin
      perform set_config('session_replication_role', 'replica', true);
      update artifact.namespace_blob set condemn_time = now();
    end $$`,
  )
  const failing = inTransaction(store, undefined, async (em) => {
    await extendLeases(em, bySystem, 'default', [digestAt(0)])
    throw new Error('failed later')
  })
  await expect(failing).rejects.toThrow('failed later')
  const events = await runSql(
    database.url,
    `select 1 from artifact.outbox where resource_id = '${digestAt(0)}' and event ->> 'type' = 'blob.revived.v1'`,
  )
  expect(events).toHaveLength(1)
})
