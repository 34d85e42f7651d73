// Two relays duplicate, delay, reorder and drop messages: the log still has every event once and in order.
import { pino } from 'pino'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import type { AppendEventsRequest } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { startRelay, type Relay } from '#lib/events/relay.ts'
import { inTransaction } from '#lib/store/database.ts'
import { emitAs, outboxReader } from '#lib/store/outbox.ts'
import { openStore } from '../../../services/metadata/store/orm.ts'
import { startAudit } from '../../support/audit.ts'
import { createDatabase } from '../../support/database.ts'
import { chosenSeed, seededRandom } from '../../support/random.ts'

const database = await createDatabase()
const audit = await startAudit(database.url)
const metadata = openStore({ url: database.url })
const relays: Relay[] = []
afterAll(async () => {
  for (const relay of relays) await relay.stop()
  await metadata.close(true)
  await audit.close()
  await database.drop()
})

const EVENTS = 30 * Number(process.env['CHAOS_ROUNDS'] ?? 10)
const random = seededRandom(chosenSeed())

const sent: AppendEventsRequest[] = []
const done = new Map<string, number>()
const late: Promise<unknown>[] = []

async function append(request: AppendEventsRequest): Promise<unknown> {
  sent.push(request)
  const counts = (what: string): void => void done.set(what, (done.get(what) ?? 0) + 1)
  const fate = random.below(6)
  if (fate === 0) {
    counts('dropped on the way')
    throw new Error('lost')
  }
  if (fate === 1) {
    counts('delayed')
    await sleep(random.below(30))
  }
  const answer = await audit.ingest.appendEvents(request)
  if (fate === 2) {
    counts('duplicated')
    await audit.ingest.appendEvents(request)
  }
  if (fate === 3) {
    counts('an older one after a newer one')
    late.push(audit.ingest.appendEvents(sent[random.below(sent.length)]!).catch(() => undefined))
  }
  if (fate === 4) {
    counts('answer lost')
    throw new Error('lost')
  }
  return answer
}

test(`the log has every event once and in order despite random faults (CHAOS_SEED=${random.seed})`, async () => {
  for (let replica = 0; replica < 2; replica += 1) {
    relays.push(startRelay(outboxReader(metadata, 'metadata'), append, pino({ level: 'silent' })))
  }
  const ids: string[] = []
  for (let at = 0; at < EVENTS; at += 1) {
    const id = randomUUID()
    ids.push(id)
    await inTransaction(metadata, undefined, async (em) => {
      const resource = { type: 'model', id, namespace: 'default', name: 'default/x' }
      emitAs(em, 'service:metadata', { type: 'manifest.read.v1', resource, reason: `${at}` })
    })
    relays[at % 2]!.wake()
    if (at % 3 === 0) await sleep(0)
  }
  const count = async () => Number((await audit.log.listEntries({ pageSize: 1 })).logSize)
  await expect
    .poll(
      async () => {
        for (const relay of relays) relay.wake()
        return count()
      },
      { timeout: 60_000 },
    )
    .toBeGreaterThanOrEqual(EVENTS)
  await Promise.all(late)
  const own = await readAll('producer = metadata')
  expect(own.map(({ event }) => event!.resource!.id)).toEqual(ids)
  expect(own.map(({ event }) => Number(event!.sequence))).toEqual(ids.map((_, at) => at + 1))
  expect([...done.keys()].length).toBeGreaterThan(2)
  expect((await audit.log.getLogHealth({})).alarms).toEqual([])
}, 120_000)

async function readAll(filter: string) {
  const entries = []
  for (let pageToken = ''; ;) {
    const page = await audit.log.listEntries({ filter, orderBy: 'index', pageSize: 1000, pageToken })
    entries.push(...page.entries)
    if (!(pageToken = page.nextPageToken)) return entries
  }
}
