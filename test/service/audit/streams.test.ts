// Watches and exports of one principal, and what they leave to others.
import { afterAll, expect, test } from 'vitest'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { ProofService } from '#gen/modelkeep/audit/v1/proof_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { inTransaction } from '#lib/store/database.ts'
import { openOwnedStore } from '../../../services/audit/store/orm.ts'
import { makeEvents, startAudit } from '../../support/audit.ts'
import { createDatabase, runSql } from '../../support/database.ts'
import { envelope, RawClient } from '../../support/raw-grpc.ts'
import { refusalOf } from '../../support/refusal.ts'

const ROOM = 16
const SHARE = 12
/** They fit the first message of a watch. */
const ENTRIES = 10

const database = await createDatabase()
const audit = await startAudit(database.url, { maxStreams: ROOM })
const owner = openOwnedStore({ url: database.url })
audit.known.set('alice', { principal: 'alice', roles: { '*': Role.READER } })
audit.known.set('bob', { principal: 'bob', roles: { '*': Role.READER } })
afterAll(async () => {
  await owner.close(true)
  await audit.close()
  await database.drop()
})
await audit.ingest.appendEvents({ events: makeEvents(1, ENTRIES) })

/** Begins watches, and does not read them. */
function watchUnread(token: string, count: number): RawClient {
  const client = new RawClient(audit.address, token)
  for (let number = 0; number < count; number += 1) {
    client.open(LogService.method.watchEntries).end(envelope(Buffer.alloc(0)))
  }
  return client
}

/** Waits until no statement runs, so that none is cancelled while the database is dropped. */
async function settled(): Promise<void> {
  const active = `select 1 from pg_stat_activity
    where datname = current_database() and state = 'active' and pid <> pg_backend_pid()`
  await expect.poll(() => runSql(database.url, active)).toEqual([])
}

async function firstOf(token: string): Promise<number> {
  for await (const { entries } of audit.client(LogService, token).watchEntries({})) return entries.length
  return 0
}

test('limits a principal to three quarters of the watches and exports', async () => {
  const held = watchUnread('alice', SHARE)
  await expect
    .poll(() => refusalOf(firstOf('alice')).catch(() => undefined))
    .toMatchObject({ code: 'ResourceExhausted', reason: 'OVERLOADED' })
  const exported = Array.fromAsync(audit.client(ProofService, 'alice').exportEntries({}))
  expect(await refusalOf(exported)).toMatchObject({ reason: 'OVERLOADED' })
  expect(await firstOf('bob')).toBe(ENTRIES)
  await settled()
  held.close()
  await expect.poll(() => firstOf('alice').catch(() => 0)).toBe(ENTRIES)
})

test('watches that begin together leave connections of the pool to others', async () => {
  const blocked = `select 1 from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and query like '%entry%'`
  const held = await inTransaction(owner, undefined, async (em) => {
    await em.execute('lock table entry in access exclusive mode')
    const watches = [watchUnread('alice', SHARE), watchUnread('bob', ROOM - SHARE)]
    await expect.poll(async () => (await runSql(database.url, blocked)).length).toBeGreaterThanOrEqual(2)
    // These calls need connections, and not the table.
    const reads = Array.from({ length: 20 }, () => refusalOf(audit.proofs.getCheckpoint({})))
    for (const { reason } of await Promise.all(reads)) expect(reason).toBe('CHECKPOINT_NOT_FOUND')
    expect(await runSql(database.url, blocked)).toHaveLength(2)
    return watches
  })
  await settled()
  for (const client of held) client.close()
})
