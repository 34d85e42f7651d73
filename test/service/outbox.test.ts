import { randomUUID } from 'node:crypto'
import { afterAll, expect, test } from 'vitest'
import { emitAs, outboxReader } from '../../services/lib/store/outbox.ts'
import { inTransaction } from '../../services/lib/store/database.ts'
import { openOwnedStore, openStore } from '../../services/metadata/store/orm.ts'
import { createDatabase } from '../support/database.ts'

const testDatabase = await createDatabase()
const database = openStore({ url: testDatabase.url, poolSize: 12 })
const owner = openOwnedStore({ url: testDatabase.url })
afterAll(async () => {
  await database.close(true)
  await owner.close(true)
  await testDatabase.drop()
})

const resource = (id: string) => ({ type: 'model', id, namespace: 'default', name: 'default/x' })

async function writeEvents(count: number, outcome: 'commit' | 'roll back' = 'commit'): Promise<void> {
  const written = inTransaction(database, undefined, async (em) => {
    for (let done = 0; done < count; done += 1) {
      emitAs(em, 'service:metadata', { type: 'model.created.v1', resource: resource(randomUUID()) })
    }
    await em.flush()
    if (outcome === 'roll back') throw new Error('on purpose')
  })
  if (outcome === 'commit') await written
  else await expect(written).rejects.toThrow('on purpose')
}

async function look(): Promise<{ last: number; count: number; unnumbered: number }> {
  const [row] = await database.em.fork().execute<{ last: string; count: string; unnumbered: string }[]>(
    `select coalesce(max(sequence), 0) as last, count(sequence) as count, count(*) - count(sequence) as unnumbered
      from outbox`,
  )
  return { last: Number(row!.last), count: Number(row!.count), unnumbered: Number(row!.unnumbered) }
}

test('sequence numbers never have a gap while eight writers commit and roll back', async () => {
  const before = (await look()).last
  const written = new AbortController()
  const watch = async (): Promise<void> => {
    while (!written.signal.aborted) {
      const { last, count, unnumbered } = await look()
      expect({ last, unnumbered }).toEqual({ last: count, unnumbered: 0 })
    }
  }
  const write = async (writer: number): Promise<void> => {
    for (let turn = 0; turn < 15; turn += 1) {
      await writeEvents(1 + ((writer + turn) % 3), (writer + turn) % 4 === 0 ? 'roll back' : 'commit')
    }
  }
  const watching = watch()
  await Promise.all(Array.from({ length: 8 }, (_, writer) => write(writer))).finally(() => written.abort())
  await watching
  const { last, count } = await look()
  expect(last).toBe(count)
  expect(last).toBeGreaterThan(before + 100)
})

test('sequence numbers follow the order of commits, not of writes', async () => {
  const [early, late] = [randomUUID(), randomUUID()]
  let commit: () => void = () => {}
  const mayCommit = new Promise<void>((resolve) => (commit = resolve))
  let wrote: () => void = () => {}
  const hasWritten = new Promise<void>((resolve) => (wrote = resolve))
  const slow = inTransaction(database, undefined, async (em) => {
    emitAs(em, 'service:metadata', { type: 'model.created.v1', resource: resource(early) })
    await em.flush()
    wrote()
    await mayCommit
  })
  await hasWritten
  await inTransaction(database, undefined, async (em) => {
    emitAs(em, 'service:metadata', { type: 'model.created.v1', resource: resource(late) })
  })
  commit()
  await slow
  const events = await outboxReader(database, 'metadata').read(0, 10_000)
  const order = events.map((event) => event.resource!.id).filter((id) => id === early || id === late)
  expect(order).toEqual([late, early])
})

test('reads an event as it was written, with producer, sequence number and time', async () => {
  const id = randomUUID()
  await inTransaction(database, undefined, async (em) => {
    emitAs(em, 'service:metadata', {
      type: 'version.created.v1',
      resource: { ...resource(id), digest: 'sha256:ab' },
      reason: 'naïve «reason» 🗝',
      beforeDigest: 'sha256:01',
      afterDigest: 'sha256:02',
      details: { nested: { list: [1, 'two', null, true] } },
    })
  })
  const { last } = await look()
  const [event, ...rest] = await outboxReader(database, 'metadata').read(last - 1, 10)
  expect(rest).toEqual([])
  expect(event).toMatchObject({
    producer: 'metadata',
    sequence: BigInt(last),
    type: 'version.created.v1',
    actor: { principal: 'service:metadata', method: 'service' },
    resource: { id, digest: 'sha256:ab' },
    reason: 'naïve «reason» 🗝',
    beforeDigest: 'sha256:01',
    afterDigest: 'sha256:02',
    details: { nested: { list: [1, 'two', null, true] } },
  })
  expect(Math.abs(Number(event!.occurTime!.seconds) - Date.now() / 1000)).toBeLessThan(60)
})

test('rejects the change of an event, and its removal before it was sent, even by the owner', async () => {
  await writeEvents(1)
  const { last } = await look()
  const em = owner.em.fork()
  for (const change of [
    `update outbox set event = '{}'`,
    `update outbox set sequence = sequence + 1000`,
    `update outbox set occur_time = now()`,
    `update outbox set resource_id = 'x'`,
  ]) {
    await expect(em.execute(`${change} where sequence = ${last}`)).rejects.toThrow('never changed')
  }
  await expect(em.execute(`delete from outbox where sequence = ${last}`)).rejects.toThrow('only after it was sent')
  await expect(em.execute('truncate outbox')).rejects.toThrow('never emptied')
  await expect(em.execute('truncate outbox cascade')).rejects.toThrow('never emptied')
  await em.execute(`update outbox_counter set sent_sequence = ${last}`)
  await em.execute(`delete from outbox where sequence = ${last}`)
  await em.execute(`update outbox_counter set sent_sequence = 0`)
})

test('deletes sent events after a day, however many, and retains newer and unsent ones', async () => {
  const em = owner.em.fork()
  const insertOld = (count: number) =>
    em.execute(`insert into outbox (event_id, resource_id, event, occur_time)
      select gen_random_uuid(), 'old', '{}', now() - interval '25 hours' from generate_series(1, ${count})`)
  const young = (await look()).count
  await insertOld(2_100)
  await em.execute(`insert into outbox (event_id, resource_id, event, occur_time)
    values (gen_random_uuid(), 'young', '{}', now() - interval '23 hours')`)
  await em.execute(`update outbox_counter set sent_sequence = last_sequence`)
  await insertOld(2)
  const outbox = outboxReader(database, 'metadata')
  while (await outbox.prune());
  expect(await look()).toMatchObject({ count: young + 1 + 2 })
  expect(await em.execute(`select count(*) from outbox where resource_id = 'old'`)).toEqual([{ count: '2' }])
  await em.execute(`update outbox_counter set sent_sequence = 0`)
})

const INSERT_ROLE = `insert into role_binding (id, principal, namespace, role) values (?, ?, 'default', 'READER')`

const NOBODYS_ID = randomUUID()

test('rejects the commit of a governed change without its event', async () => {
  const id = randomUUID()
  const change = (event?: string) =>
    inTransaction(database, undefined, async (em) => {
      await em.execute(INSERT_ROLE, [id, `p-${id}`])
      if (event) emitAs(em, 'service:metadata', { type: 'role.granted.v1', resource: resource(event) })
    })
  await expect(change()).rejects.toThrow('without an audit event')
  await expect(change(randomUUID())).rejects.toThrow('without an audit event')
  const em = database.em.fork()
  expect(await em.execute('select 1 from role_binding where id = ?', [id])).toEqual([])
  await change(id)
  expect(await em.execute('select 1 from role_binding where id = ?', [id])).toHaveLength(1)
  // The event of an earlier transaction covers neither another change nor a removal.
  await expect(em.execute(`update role_binding set role = 'ADMIN' where id = ?`, [id])).rejects.toThrow('UPDATE of')
  await expect(em.execute(`delete from role_binding where id = ?`, [id])).rejects.toThrow('DELETE of')
})

test('does not accept a temporary table in place of the outbox', async () => {
  const change = inTransaction(database, undefined, async (em) => {
    await em.execute('create temporary table outbox (like metadata.outbox) on commit drop')
    await em.execute(`insert into outbox (event_id, transaction, resource_id, event, occur_time)
      values (gen_random_uuid(), pg_current_xact_id(), '${NOBODYS_ID}', '{}', now())`)
    await em.execute(INSERT_ROLE, [NOBODYS_ID, 'p-temporary'])
  })
  await expect(change).rejects.toThrow('without an audit event')
})

test('records no event of a change that is rolled back', async () => {
  const before = await look()
  await writeEvents(3, 'roll back')
  expect(await look()).toEqual(before)
})

test('the service can neither drop its triggers nor reach another schema', async () => {
  const em = database.em.fork()
  for (const attempt of [
    'drop trigger outbox_immutable on outbox',
    'alter table outbox disable trigger all',
    'truncate outbox',
    'set session_replication_role = replica',
    'select * from artifact.outbox',
    'create table metadata.mine (id int)',
  ]) {
    await expect(em.execute(attempt), attempt).rejects.toThrow(/permission denied|must be owner/)
  }
})
