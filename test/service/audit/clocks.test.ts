// Clock skews of the database and of producers: no event is rejected or lost, record times never decrease, and the log
// records the skew.
import { timestampFromDate, timestampMs } from '@bufbuild/protobuf/wkt'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LogEntry } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { AlarmKind } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { outboxReader } from '#lib/store/outbox.ts'
import { openStore } from '../../../services/metadata/store/orm.ts'
import { ARTIFACT_TOKEN, makeEvent, makeSigner, startAudit, type RunningAudit } from '../../support/audit.ts'
import { runCli } from '../../support/cli.ts'
import { createDatabase, runSql } from '../../support/database.ts'

const MINUTE = 60_000
const home = await mkdtemp(join(tmpdir(), 'modelkeep-clocks-'))
const database = await createDatabase()
const signer = makeSigner()
const logs: string[] = []
let audit: RunningAudit
beforeAll(async () => {
  await makeClockJump()
  audit = await startAudit(database.url, { signer, logs })
})
afterAll(async () => {
  await audit.close()
  await database.drop()
  await rm(home, { recursive: true, force: true })
})

/** Replaces the clock of this database by one that a test can shift. */
async function makeClockJump(): Promise<void> {
  await runSql(database.url, 'create table public.clock_shift (shift interval not null)')
  await runSql(database.url, `insert into public.clock_shift values ('0')`)
  await runSql(database.url, 'grant select on public.clock_shift to public')
  await runSql(
    database.url,
    `set allow_system_table_mods = on;
      update pg_proc set proname = 'true_clock' where proname = 'clock_timestamp';
      create function pg_catalog.clock_timestamp() returns timestamptz volatile language sql security definer
        as 'select pg_catalog.true_clock() + shift from public.clock_shift';
      reset allow_system_table_mods`,
  )
}
const shiftClock = (minutes: number) =>
  runSql(database.url, `update public.clock_shift set shift = make_interval(mins => ${minutes})`)

let sequence = 0
/** Appends an event that occurs `minutes` from now, and returns its entry. */
async function append(minutes = 0): Promise<LogEntry> {
  const occurTime = timestampFromDate(new Date(Date.now() + minutes * MINUTE))
  sequence += 1
  const { indexes } = await audit.ingest.appendEvents({ events: [makeEvent(sequence, { occurTime })] })
  return (await audit.log.getEntry({ entry: { case: 'index', value: indexes[0]! } })).entry!
}
const alarms = async () =>
  (await audit.log.getLogHealth({})).alarms
    .map(({ kind, producer, subject, count }) => [kind, producer, subject.split(' ')[0], Number(count)])
    .toSorted((one, other) => String(one).localeCompare(String(other)))
const skewEntries = async () =>
  (await audit.log.listEntries({ filter: 'type = "producer.clock_skew_detected.v1"', orderBy: 'index' })).entries
const CLOCK = AlarmKind.CLOCK

test('raises no alarm for small clock differences and late events', async () => {
  await append(-60 * 24)
  await append(-1)
  await append(4)
  await append(0)
  expect(await alarms()).toEqual([])
})

test('records an event from the future as sent, and raises one alarm a day', async () => {
  const entry = await append(60)
  expect(timestampMs(entry.event!.occurTime!) - timestampMs(entry.recordTime!)).toBeGreaterThan(59 * MINUTE)
  await append(61)
  await append(62)
  expect(await alarms()).toEqual([[CLOCK, 'metadata', 'ahead', 3]])
  const [first, ...others] = await skewEntries()
  expect(others).toEqual([])
  expect(first!.index).toBe(entry.index + 1n)
  expect(first!.event).toMatchObject({
    producer: 'audit',
    resource: { type: 'producer', id: 'metadata' },
    details: { kind: 'ahead', event_id: entry.event!.id },
  })
  expect(logs.filter((line) => line.includes('audit alarm: clock of producer \\"metadata\\" is')).length).toBe(1)
})

test('raises an alarm for a producer whose clock was set back, and accepts its next events', async () => {
  const back = await append(0)
  expect((await skewEntries()).at(-1)!.event).toMatchObject({ details: { kind: 'back', event_id: back.event!.id } })
  const at = (minutes: number) => timestampFromDate(new Date(Date.now() + minutes * MINUTE))
  const events = [0, -10, -9].map((minutes, more) =>
    makeEvent(more + 1, { producer: 'artifact', occurTime: at(minutes) }),
  )
  const artifact = audit.client(IngestService, ARTIFACT_TOKEN)
  expect(await artifact.appendEvents({ events })).toMatchObject({ nextSequence: 4n })
  // A repeated event returns the same entry and raises no alarm.
  expect(await artifact.appendEvents({ events })).toMatchObject({ nextSequence: 4n })
  expect(await alarms()).toEqual([
    [CLOCK, 'artifact', 'back', 1],
    [CLOCK, 'metadata', 'ahead', 3],
    [CLOCK, 'metadata', 'back', 1],
  ])
  expect((await skewEntries()).length).toBe(3)
})

test("record times never decrease when the log's clock jumps ahead and back", async () => {
  const before = await append()
  await shiftClock(120)
  const ahead = await append()
  await shiftClock(-120)
  const back = await append()
  await shiftClock(0)
  const after = await append()
  expect(timestampMs(ahead.recordTime!) - timestampMs(before.recordTime!)).toBeGreaterThan(119 * MINUTE)
  const [time, later] = [back, after].map(({ recordTime }) => timestampMs(recordTime!))
  expect([time, later]).toEqual([timestampMs(ahead.recordTime!), timestampMs(ahead.recordTime!)])
  expect((await alarms()).filter(([, producer]) => producer === 'audit').map(([, , kind]) => kind)).toContain('log')
  const { entries } = await audit.log.listEntries({ orderBy: 'index', pageSize: 1000 })
  const times = entries.map(
    ({ leaf }) => (JSON.parse(Buffer.from(leaf).toString()) as { recordTime: string }).recordTime,
  )
  expect(times).toEqual(times.toSorted())
  expect(entries.map(({ index }) => Number(index))).toEqual(entries.map((_, index) => index))
})

test('publishes checkpoints despite clock skews, and the export verifies', async () => {
  const { size } = await audit.log.getLogHealth({})
  await expect.poll(async () => (await audit.log.getLogHealth({})).checkpointSize >= size).toBe(true)
  const environment = { MODELKEEP_ADDRESS: audit.address, MODELKEEP_TOKEN: 'mk_platform' }
  expect(await runCli(['audit', 'export', 'log.jsonl'], environment, home)).toMatchObject({ code: 0 })
  const { code, err } = await runCli(['audit', 'verify', 'log.jsonl', '--key', signer.vkey], environment, home)
  expect([code, err]).toEqual([0, ''])
  const { code: ill, out } = await runCli(['audit', 'health'], environment, home)
  expect([ill, out]).toEqual([8, expect.stringContaining('was set back')])
})

test('expires nothing while the database clock is ahead, and resumes afterwards', async () => {
  const left = async () =>
    (await runSql(database.url, 'select 1 from audit.private_value where value is not null')).length
  const count = await left()
  expect(count).toBeGreaterThan(5)
  await shiftClock(60 * 24 * 365)
  const logged: string[] = []
  const retention = { OPERATIONAL: 1, SECURITY: 1, GOVERNANCE: 1 }
  const other = await startAudit(database.url, { retention, expireEveryMs: 50, logs: logged })
  await expect.poll(() => logged.join('')).toContain('ahead of this process')
  expect(await left()).toBe(count)
  await shiftClock(0)
  await expect.poll(left).toBeLessThan(count)
  // Values recorded while the clock was ahead are not due for a long time.
  expect(await left()).toBeGreaterThan(0)
  await other.close()
})

test('a sender killed before its clock was set back does not block another sender', async () => {
  const metadata = openStore({ url: database.url })
  const outbox = outboxReader(metadata, 'metadata')
  await shiftClock(120)
  expect(await outbox.claim('killed', 5)).toBe(0)
  expect(await outbox.claim('other', 5)).toBeUndefined()
  await shiftClock(0)
  expect(await outbox.claim('other', 5)).toBe(0)
  expect(await outbox.claim('third', 5)).toBeUndefined()
  await metadata.close(true)
})
