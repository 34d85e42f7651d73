// Alarms about gaps, altered events and equivocation: as events in the log, as errors in the service's output, and in the
// health of the log.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { LogService, AlarmKind } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { makeEvent, makeEvents, makeSigner, startAudit, type RunningAudit } from '../../support/audit.ts'
import { runCli } from '../../support/cli.ts'
import { createDatabase } from '../../support/database.ts'
import { refusalOf } from '../../support/refusal.ts'

const database = await createDatabase()
const logs: string[] = []
let audit: RunningAudit
beforeAll(async () => {
  audit = await startAudit(database.url, { signer: makeSigner(), logs })
  audit.known.set('mk_fraud', { principal: 'fran', roles: { fraud: 1 } })
})
afterAll(async () => {
  await audit.close()
  await database.drop()
})

const health = () => audit.log.getLogHealth({})
const ownEntries = async () => (await audit.log.listEntries({ filter: 'producer = "audit"', orderBy: 'index' })).entries
const errors = () =>
  logs.map((line) => JSON.parse(line) as { level: string; message: string }).filter(({ level }) => level === 'error')

test('reports no alarms for a log without gaps', async () => {
  await audit.ingest.appendEvents({ events: makeEvents(1, 3) })
  await audit.ingest.appendEvents({ events: makeEvents(4, 2) })
  await expect.poll(async () => (await health()).checkpointSize).toBe(5n)
  const { size, producers, alarms, checkpointTime } = await health()
  expect({ size, producers, alarms }).toMatchObject({
    size: 5n,
    producers: [{ name: 'metadata', nextSequence: 6n }],
    alarms: [],
  })
  expect(Number(producers[0]!.lastRecordTime!.seconds)).toBeGreaterThan(0)
  expect(Number(checkpointTime!.seconds)).toBeGreaterThan(0)
})

test('raises one alarm for a repeated gap, with the first missing sequence', async () => {
  const late = [makeEvent(8)]
  for (let time = 0; time < 3; time += 1) {
    expect(await refusalOf(audit.ingest.appendEvents({ events: late }))).toMatchObject({ reason: 'SEQUENCE_GAP' })
  }
  expect((await health()).alarms).toMatchObject([
    { kind: AlarmKind.GAP, producer: 'metadata', subject: '6', count: 3n },
  ])
  expect((await ownEntries()).map(({ event }) => event)).toMatchObject([
    { type: 'producer.gap_detected.v1', resource: { id: 'metadata' }, details: { expected: '6', got: '8' } },
  ])
  expect(errors()).toMatchObject([{ message: expect.stringContaining('audit alarm: ') }])
})

test('raises an alarm for a repeated event with different content, and for another event in its place', async () => {
  const event = makeEvent(6)
  await audit.ingest.appendEvents({ events: [event] })
  await refusalOf(audit.ingest.appendEvents({ events: [{ ...event, reason: 'another' }] }))
  const imposter = makeEvent(6)
  await refusalOf(audit.ingest.appendEvents({ events: [imposter] }))
  const { alarms } = await health()
  expect(alarms.map(({ kind, subject }) => [kind, subject])).toEqual([
    [AlarmKind.ALTERED, imposter.id],
    [AlarmKind.ALTERED, event.id],
    [AlarmKind.GAP, '6'],
  ])
  expect((await ownEntries()).map((entry) => entry.event!.type)).toEqual([
    'producer.gap_detected.v1',
    'producer.equivocation_detected.v1',
    'producer.equivocation_detected.v1',
  ])
})

test('raises no alarm for invalid input, and accepts the next event of the producer', async () => {
  await refusalOf(audit.ingest.appendEvents({ events: [makeEvent(7, { type: '' })] }))
  expect((await health()).alarms.length).toBe(3)
  expect(await audit.ingest.appendEvents({ events: makeEvents(7, 2) })).toMatchObject({ nextSequence: 9n })
})

test('denies the health of the log to a reader of one namespace; the command exits with 8 on alarms', async () => {
  const fraud = audit.client(LogService, 'mk_fraud')
  expect((await refusalOf(fraud.getLogHealth({}))).reason).toBe('PERMISSION_DENIED')
  const environment = { MODELKEEP_ADDRESS: audit.address, MODELKEEP_TOKEN: 'mk_platform' }
  const { code, out, err } = await runCli(['audit', 'health'], environment)
  expect([code, out, err]).toEqual([8, expect.stringContaining('metadata'), expect.stringContaining('3 alarms')])
  expect((await runCli(['audit', 'health', '--json'], environment)).out).toContain('ALARM_KIND_GAP')
})
