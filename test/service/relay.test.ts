import { pino } from 'pino'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach, expect, test, vi } from 'vitest'
import type { AppendEventsRequest } from '../../gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { startRelay, type Relay } from '../../services/lib/events/relay.ts'
import { inTransaction } from '../../services/lib/store/database.ts'
import { emitAs, outboxReader } from '../../services/lib/store/outbox.ts'
import { openStore } from '../../services/metadata/store/orm.ts'
import { createDatabase } from '../support/database.ts'

const testDatabase = await createDatabase()
const database = openStore({ url: testDatabase.url, poolSize: 12 })
afterAll(async () => {
  await database.close(true)
  await testDatabase.drop()
})

const logger = pino({ level: 'silent' })
const outbox = outboxReader(database, 'metadata')

async function writeEvents(count: number): Promise<void> {
  for (let done = 0; done < count; done += 1) {
    await inTransaction(database, undefined, async (em) => {
      const resource = { type: 'model', id: randomUUID(), namespace: 'default', name: 'default/x' }
      emitAs(em, 'service:metadata', { type: 'model.created.v1', resource })
    })
  }
}

async function lastNumber(): Promise<number> {
  const [row] = await database.em.fork().execute<{ last: string }[]>('select last_sequence as last from outbox_counter')
  return Number(row!.last)
}

/** A log that appends new events, skips known ones, and rejects gaps, as the real one does. */
class Log {
  numbers: number[] = []
  calls = 0
  /** A test makes it throw to fail a call. */
  before: (call: number) => Promise<void> | void = () => {}
  after: () => void = () => {}

  readonly append = async ({ events }: AppendEventsRequest): Promise<void> => {
    const call = (this.calls += 1)
    await this.before(call)
    const sent = events.map(({ sequence }) => Number(sequence))
    for (const number of sent) {
      if (number <= (this.numbers.at(-1) ?? this.#start)) continue
      if (number !== (this.numbers.at(-1) ?? this.#start) + 1) throw new Error(`gap before ${number}`)
      this.numbers.push(number)
    }
    this.after()
  }

  #start: number
  constructor(start: number) {
    this.#start = start
  }
}

let start = 0
beforeEach(async () => {
  start = await lastNumber()
  await database.em
    .fork()
    .execute(`update outbox_counter set sent_sequence = ?, sender = null, sender_until = null`, [start])
})

const range = (count: number) => Array.from({ length: count }, (_, index) => start + index + 1)

test('sends committed events in order, in batches of at most 256', async () => {
  await writeEvents(300)
  const log = new Log(start)
  const relay = startRelay(outbox, log.append, logger)
  await vi.waitFor(() => expect(log.numbers).toEqual(range(300)), 10_000)
  expect(log.calls).toBe(2)
  await relay.stop()
})

test('sends at once when woken, and sends the rest when stopped', async () => {
  const log = new Log(start)
  const relay = startRelay(outbox, log.append, logger)
  await writeEvents(1)
  relay.wake()
  await vi.waitFor(() => expect(log.numbers).toEqual(range(1)), 10_000)
  await writeEvents(2)
  await relay.stop()
  expect(log.numbers).toEqual(range(3))
})

test('deletes events older than a day from the outbox even if it sends nothing new', async () => {
  const em = database.em.fork()
  await em.execute(`insert into outbox (event_id, resource_id, event, occur_time)
    values (gen_random_uuid(), 'old', '{}', now() - interval '25 hours')`)
  await em.execute('update outbox_counter set sent_sequence = last_sequence')
  const log = new Log(start)
  const relay = startRelay(outbox, log.append, logger)
  await vi.waitFor(async () => {
    expect(await em.execute(`select 1 from outbox where resource_id = 'old'`)).toEqual([])
  }, 10_000)
  await relay.stop()
  expect(log.calls).toBe(0)
})

test('sends every event again after failures, once each, in order', async () => {
  const log = new Log(start)
  // A batch that was rejected and one whose response was lost look the same to the relay.
  log.before = (call) => {
    if (call === 1) throw new Error('the log is down')
  }
  const lost = new Set([3, 5])
  log.after = () => {
    if (lost.delete(log.numbers.length)) throw new Error('the answer was lost')
  }
  await writeEvents(3)
  const relay = startRelay(outbox, log.append, logger)
  relay.wake()
  await vi.waitFor(() => expect(log.numbers).toEqual(range(3)), 10_000)
  await writeEvents(2)
  relay.wake()
  await vi.waitFor(() => expect(log.numbers).toEqual(range(5)), 10_000)
  await relay.stop()
  expect(lost.size).toBe(0)
  expect(await sentNumber()).toBe(start + 5)
})

async function sentNumber(): Promise<number> {
  const [row] = await database.em.fork().execute<{ sent: string }[]>('select sent_sequence as sent from outbox_counter')
  return Number(row!.sent)
}

test('two relays on one outbox preserve the order, and a new one takes over from one that was killed', async () => {
  const log = new Log(start)
  const relays: Relay[] = [startRelay(outbox, log.append, logger), startRelay(outbox, log.append, logger)]
  const write = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn += 1) {
      await writeEvents(1)
      for (const relay of relays) relay.wake()
    }
  }
  await Promise.all([write(), write(), write()])
  await vi.waitFor(() => expect(log.numbers).toEqual(range(60)), 10_000)
  await Promise.all(relays.map((relay) => relay.stop()))

  // A relay that was killed leaves its claim behind.
  await outbox.claim('killed', 1)
  await writeEvents(1)
  const heir = startRelay(outbox, log.append, logger)
  await vi.waitFor(() => expect(log.numbers).toEqual(range(61)), 10_000)
  await heir.stop()
})

test('a relay that resumes after its claim expired does no harm', async () => {
  await writeEvents(2)
  const log = new Log(start)
  const sent = await outbox.claim('sleeper', 0)
  const late = await outbox.read(sent!, 10)
  const relay = startRelay(outbox, log.append, logger)
  await vi.waitFor(() => expect(log.numbers).toEqual(range(2)), 10_000)
  await writeEvents(1)
  relay.wake()
  await vi.waitFor(() => expect(log.numbers).toEqual(range(3)), 10_000)
  await log.append({ events: late } as AppendEventsRequest)
  await outbox.markSent(Number(late.at(-1)!.sequence))
  await relay.stop()
  expect(log.numbers).toEqual(range(3))
  expect(await sentNumber()).toBe(start + 3)
})
