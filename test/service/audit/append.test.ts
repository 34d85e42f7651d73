import { timestampFromDate } from '@bufbuild/protobuf/wkt'
import { createHash } from 'node:crypto'
import { afterAll, expect, test } from 'vitest'
import { Outcome, RetentionClass, type Event } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { ARTIFACT_TOKEN, makeEvent, makeEvents, PLATFORM_TOKEN, startAudit } from '../../support/audit.ts'
import { createDatabase, runSql } from '../../support/database.ts'
import { refusalOf } from '../../support/refusal.ts'

const database = await createDatabase()
const audit = await startAudit(database.url)
const { ingest, log } = audit
afterAll(async () => {
  await audit.close()
  await database.drop()
})

const append = (events: Event[]) => ingest.appendEvents({ events })
/** Counts the entries that were sent; the log appends alarms itself. */
const size = async () => BigInt((await log.listEntries({ filter: 'NOT producer = audit' })).entries.length)

test('returns contiguous indexes, and the same indexes for repeated events', async () => {
  const events = makeEvents(1, 3)
  const first = await append(events)
  expect(first).toMatchObject({ indexes: [0n, 1n, 2n], nextSequence: 4n })
  const again = await append([...events.slice(1), ...makeEvents(4, 2)])
  expect(again).toMatchObject({ indexes: [1n, 2n, 3n, 4n], nextSequence: 6n })
  expect(await append(events)).toMatchObject({ indexes: [0n, 1n, 2n], nextSequence: 6n })
  expect(await size()).toBe(5n)
})

test('rejects a batch with a gap before, within or after the recorded sequence as a whole', async () => {
  const gap = (expected: string, got: string) => ({
    code: 'FailedPrecondition',
    reason: 'SEQUENCE_GAP',
    metadata: { producer: 'metadata', expected, got },
  })
  expect(await refusalOf(append([makeEvent(8)]))).toMatchObject(gap('6', '8'))
  expect(await refusalOf(append([makeEvent(6), makeEvent(8)]))).toMatchObject(gap('7', '8'))
  expect(await refusalOf(append([makeEvent(6), makeEvent(6)]))).toMatchObject(gap('7', '6'))
  expect(await size()).toBe(5n)
})

test('rejects a repeated event with different content, id or sequence', async () => {
  const event = makeEvent(6)
  await append([event])
  const altered = (id: string) => ({ reason: 'EVENT_ALTERED', metadata: { event_id: id } })
  expect(await refusalOf(append([{ ...event, reason: 'another' }]))).toMatchObject(altered(event.id))
  expect(await refusalOf(append([{ ...event, sequence: 7n }]))).toMatchObject(altered(event.id))
  const imposter = makeEvent(6)
  expect(await refusalOf(append([imposter]))).toMatchObject(altered(imposter.id))
  const duplicate = makeEvent(7)
  expect(await refusalOf(append([duplicate, { ...duplicate, sequence: 8n }]))).toMatchObject(altered(duplicate.id))
  expect(await size()).toBe(6n)
})

test('counts a sequence per producer, and denies events of another producer', async () => {
  const artifact = audit.client(IngestService, ARTIFACT_TOKEN)
  const events = [makeEvent(1, { producer: 'artifact', type: 'blob.committed.v1' })]
  expect(await artifact.appendEvents({ events })).toMatchObject({ nextSequence: 2n })
  const forged = await refusalOf(artifact.appendEvents({ events: [makeEvent(7)] }))
  expect(forged).toMatchObject({ code: 'PermissionDenied', reason: 'PERMISSION_DENIED' })
  expect(forged.message).toContain('events[0].producer')
  const person = audit.client(IngestService, PLATFORM_TOKEN)
  expect(await refusalOf(person.appendEvents({ events: [makeEvent(7)] }))).toMatchObject({
    reason: 'PERMISSION_DENIED',
  })
})

test('records its own denials in the log, as the producer audit', async () => {
  const { entries } = await log.listEntries({ filter: 'producer = audit', orderBy: 'index' })
  expect(entries.map(({ event }) => event!.sequence)).toEqual(entries.map((_, at) => BigInt(at + 1)))
  const denials = entries.filter(({ event }) => event!.type === 'access.denied.v1')
  expect(denials.map(({ event }) => event!.actor!.principal)).toEqual(['service:artifact', 'root'])
  expect(denials[1]!.event).toMatchObject({
    type: 'access.denied.v1',
    outcome: Outcome.DENIED,
    resource: { type: 'rpc', id: 'modelkeep.audit.v1.IngestService/AppendEvents' },
    details: { permission: 'SERVICE' },
  })
})

test('stores leaves with their RFC 6962 leaf hash, and returns the event of the leaf', async () => {
  const event = makeEvent(7, { details: { score: 0.93, text: '✓ €' }, traceId: 'a'.repeat(32), occurTime: micros() })
  const { indexes } = await append([event])
  const { entry } = await log.getEntry({ entry: { case: 'index', value: indexes[0]! } })
  const added = { commitments: { reason: expect.any(String) }, retentionClass: RetentionClass.GOVERNANCE }
  expect(entry!.event).toEqual({ ...event, ...added })
  const [row] = (await runSql(database.url, `select leaf, leaf_hash from audit.entry where index = ${indexes[0]}`)) as {
    leaf: Buffer
    leaf_hash: Buffer
  }[]
  expect(Buffer.from(entry!.leaf)).toEqual(row!.leaf)
  expect(row!.leaf_hash).toEqual(createHash('sha256').update('\0').update(row!.leaf).digest())
  const shown = JSON.parse(row!.leaf.toString()) as { recordTime: string }
  expect(Object.keys(shown)).toEqual(['event', 'recordTime'])
  expect(shown.recordTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
  expect(Math.abs(Number(entry!.recordTime!.seconds) - Date.now() / 1000)).toBeLessThan(60)
})

const micros = () => ({ ...timestampFromDate(new Date()), nanos: 123_456_000 })

const WRONG: [string, object][] = [
  ['id', { id: 'x' }],
  ['sequence', { sequence: 0n }],
  ['type', { type: 'Version created' }],
  ['type', { type: '' }],
  ['occur_time', { occurTime: undefined }],
  ['occur_time', { occurTime: { ...micros(), seconds: 10n ** 15n } }],
  ['actor', { actor: undefined }],
  ['actor.method', { actor: { $typeName: 'modelkeep.audit.v1.Actor', principal: 'a', method: 'x', credentialId: '' } }],
  ['resource', { resource: undefined }],
  ['resource.type', { resource: { ...makeEvent(1).resource!, type: '' } }],
  ['resource.id', { resource: { ...makeEvent(1).resource!, id: '' } }],
  ['resource.name', { resource: { ...makeEvent(1).resource!, name: 'a\0b' } }],
  ['outcome', { outcome: Outcome.UNSPECIFIED }],
  ['outcome', { outcome: 7 }],
  ['trace_id', { traceId: 'X' }],
  ['commitments', { commitments: { reason: 'x' } }],
]
test.each(WRONG)('rejects an event with an invalid %s, and names the field', async (field, change) => {
  const answer = await refusalOf(append([makeEvent(8), { ...makeEvent(9), ...change }]))
  expect(answer).toMatchObject({ code: 'InvalidArgument', reason: 'FIELD_INVALID' })
  expect(answer.metadata['field']).toBe(`events[1].${field}`)
})

const TOO_MUCH: [string, string, Event[]][] = [
  ['events', '256', makeEvents(8, 257)],
  ['events[0]', '1048576', [makeEvent(8, { details: { text: 'x'.repeat(1024 * 1024) } })]],
  ['events[0].reason', '2048', [makeEvent(8, { reason: 'x'.repeat(2049) })]],
  ['events[0].request_id', '1024', [makeEvent(8, { requestId: '€'.repeat(400) })]],
]
test.each(TOO_MUCH)('rejects events over the limit of %s', async (field, limit, events) => {
  expect(await refusalOf(append(events))).toMatchObject({ reason: 'LIMIT_EXCEEDED', metadata: { field, limit } })
})

test('rejects an empty batch, and stores nothing of rejected batches', async () => {
  expect(await refusalOf(append([]))).toMatchObject({ reason: 'FIELD_INVALID', metadata: { field: 'events' } })
  const { nextSequence } = await append(makeEvents(8, 256))
  expect(nextSequence).toBe(264n)
})
