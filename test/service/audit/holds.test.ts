// Legal holds on everything, on a namespace and on a resource: each protects its values from redaction, from retention and
// from SQL.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Event } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { PrivacyService } from '#gen/modelkeep/audit/v1/privacy_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { makeEvent, startAudit, type RunningAudit } from '../../support/audit.ts'
import { createDatabase, runSql } from '../../support/database.ts'
import { refusalOf } from '../../support/refusal.ts'

const database = await createDatabase()
/** All values are due at once. */
const retention = { OPERATIONAL: 0.000_001, SECURITY: 0, GOVERNANCE: 0 }
let audit: RunningAudit
beforeAll(async () => {
  audit = await startAudit(database.url)
  audit.known.set('mk_admin', { principal: 'root', roles: { '*': Role.ADMIN } })
})
afterAll(async () => {
  await audit.close()
  await database.drop()
})

let sequence = 1
function makeNoted(namespace: string, id: string, reason = 'private'): Event {
  const resource = { type: 'blob', id, namespace, name: `${namespace}/${id}` }
  return makeEvent(sequence++, { type: 'blob.noted.v1', resource, reason })
}
const privacy = () => audit.client(PrivacyService, 'mk_admin')
const append = async (events: Event[]) => (await audit.ingest.appendEvents({ events })).indexes.map(Number)

/** Two resources of a namespace, one of another, one of the installation. */
const PLACES = [
  ['legal', 'one'],
  ['legal', 'two'],
  ['vision', 'three'],
  ['', 'four'],
] as const
let events: Event[] = []
let indexes: number[] = []
beforeEach(async () => {
  events = PLACES.map(([namespace, id]) => makeNoted(namespace, id))
  indexes = await append(events)
})

type Subject = { case: 'namespace' | 'resourceId'; value: string }
const place = async (subject: Subject) => (await privacy().placeHold({ subject, reason: 'case 7' })).hold!.id
const release = (id: string) => privacy().releaseHold({ id, reason: 'closed' })

/** Returns for each event whether its value is still stored. */
async function left(): Promise<boolean[]> {
  const rows = (await runSql(
    database.url,
    'select value is not null as there from audit.private_value where index = any(?) and field = ? order by index',
    [`{${indexes.join()}}`, 'reason'],
  )) as { there: boolean }[]
  return rows.map(({ there }) => there)
}

/** Runs a retention pass of another replica until the condition holds. */
async function expire(until: () => Promise<unknown>, expected: unknown): Promise<void> {
  const other = await startAudit(database.url, { retention })
  await expect.poll(until).toEqual(expected)
  await other.close()
}

test.each<[string, Subject, boolean[]]>([
  ['everything', { case: 'namespace', value: '*' }, [true, true, true, true]],
  ['a namespace', { case: 'namespace', value: 'legal' }, [true, true, false, false]],
  ['a resource', { case: 'resourceId', value: 'one' }, [true, false, false, false]],
  ['a resource of the installation', { case: 'resourceId', value: 'four' }, [false, false, false, true]],
])('a hold on %s protects exactly its values from erasure', async (_, subject, isHeld) => {
  const hold = await place(subject)
  for (const [at, { id: eventId }] of events.entries()) {
    const erase = `update audit.private_value set salt = null, value = null, redact_index = 9 where index = ${indexes[at]}`
    if (isHeld[at]) {
      const refused = await refusalOf(privacy().redactEvent({ eventId, reason: 'asked' }))
      expect(refused).toMatchObject({ reason: 'EVENT_HELD', metadata: { hold } })
      await expect(runSql(database.url, erase)).rejects.toThrow('a legal hold keeps')
    } else if (at % 2 === 1) await runSql(database.url, erase)
    else await privacy().redactEvent({ eventId, reason: 'asked' })
  }
  expect(await left()).toEqual(isHeld)
  await release(hold)
  await expire(left, [false, false, false, false])
})

test.each<[string, Subject, boolean[]]>([
  ['everything', { case: 'namespace', value: '*' }, [true, true, true, true]],
  ['a resource', { case: 'resourceId', value: 'two' }, [false, true, false, false]],
])('values under a hold on %s do not expire before it is released', async (_, subject, isHeld) => {
  const hold = await place(subject)
  await expire(left, isHeld)
  expect(await left()).toEqual(isHeld)
  await release(hold)
  await expire(left, [false, false, false, false])
})

test('one pass erases all due values, even after more held values than one event can name', async () => {
  const append250 = (id: string) => append(Array.from({ length: 250 }, () => makeNoted('legal', id)))
  const held = [...(await append250('held')), ...(await append250('held'))]
  const due = [...(await append250('free')), ...(await append250('free'))]
  indexes = [...held, ...due]
  const hold = await place({ case: 'resourceId', value: 'held' })
  const isHeld = indexes.map((index) => held.includes(index))
  await expire(left, isHeld)
  const { entries } = await audit.log.listEntries({ filter: 'type = "values.expired.v1"', pageSize: 3 })
  const named = entries.map(({ event }) => Object.keys(event!.details!['values'] as object).map(Number))
  expect(named.flat().filter((index) => index >= held[0]!)).toHaveLength(due.length)
  expect(Math.max(...named.map(({ length }) => length))).toBeLessThanOrEqual(400)
  await release(hold)
})
