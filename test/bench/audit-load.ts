// The log under load: the writer alone, single appends at a steady rate, the time until a checkpoint covers an event of another
// service, and the cost of the outbox for that service.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { createLogger } from '#lib/process/log.ts'
import { startRelay } from '#lib/events/relay.ts'
import { forkFor, inTransaction, type Database } from '#lib/store/database.ts'
import { emitAs, outboxReader } from '#lib/store/outbox.ts'
import { parseEvents } from '../../services/audit/rpc/ingest/parse-events.ts'
import { appendToLog, lockLog } from '../../services/audit/store/log/append.ts'
import { openStore as openMetadata } from '../../services/metadata/store/orm.ts'
import { ARTIFACT_TOKEN, makeEvent, makeEvents, type RunningAudit } from '../support/audit.ts'
import { eventAt } from './audit-events.ts'
import { median, percentile, type Figures } from './figures.ts'
import type { Registry } from './metadata/registry.ts'

const BATCH = 256

/** Warm-up batches, which are not counted because earlier measurements left much garbage. */
const WARM_UPS = 10

export async function measureWriter(
  figures: Figures,
  database: Database,
  from: number,
  batches: number,
): Promise<number> {
  let next = from + 1
  const prepared = Array.from({ length: WARM_UPS + batches }, () => {
    const events = Array.from({ length: BATCH }, () => eventAt(next++))
    return parseEvents(events, 'metadata', [])
  })
  const append = (events: (typeof prepared)[number]): Promise<unknown> =>
    inTransaction(database, undefined, async (em) => appendToLog(em, await lockLog(em, 'metadata'), events))
  for (const events of prepared.slice(0, WARM_UPS)) await append(events)
  const began = performance.now()
  for (const events of prepared.slice(WARM_UPS)) await append(events)
  const rate = (batches * BATCH * 1000) / (performance.now() - began)
  figures.report(`writer alone, batches of ${BATCH}`, rate, '/s', { least: 10_000 })
  return next - 1
}

const RATE = 500
const SINGLE_RATE = 50
const LOAD_BATCH = 25

/** Sends batches of one service, as relays under load do, and times single events of another service. A late event is timed
 * from the moment when it should have been sent. */
export async function measureSingle(
  figures: Figures,
  audit: RunningAudit,
  from: number,
  seconds: number,
): Promise<number> {
  const times: number[] = []
  const load = RATE - SINGLE_RATE
  const single = audit.client(IngestService, ARTIFACT_TOKEN)
  await Promise.all([
    paced((load / LOAD_BATCH) * seconds, load / LOAD_BATCH, async (turn) => {
      const events = makeEvents(from + 1 + turn * LOAD_BATCH, LOAD_BATCH)
      await audit.ingest.appendEvents({ events })
    }),
    paced(SINGLE_RATE * seconds, SINGLE_RATE, async (turn, due) => {
      await single.appendEvents({ events: [makeEvent(turn + 1, { producer: 'artifact' })] })
      times.push(performance.now() - due)
    }),
  ])
  figures.report(`single append at ${RATE}/s, p50`, percentile(times, 50), 'ms', { most: 15 })
  figures.report(`single append at ${RATE}/s, p99`, percentile(times, 99), 'ms', { most: 60 })
  return from + (load + SINGLE_RATE) * seconds
}

async function paced(
  count: number,
  perSecond: number,
  work: (turn: number, due: number) => Promise<void>,
): Promise<void> {
  const began = performance.now()
  for (let turn = 0; turn < count; turn += 1) {
    const due = began + (turn * 1000) / perSecond
    if (due > performance.now()) await sleep(due - performance.now())
    await work(turn, due)
  }
}

const EVERY_MS = 50

/** Runs on a database whose log has only these events. */
export async function measureFreshness(
  figures: Figures,
  audit: RunningAudit,
  url: string,
  count: number,
): Promise<void> {
  const metadata = openMetadata({ url })
  const append = (request: Parameters<typeof audit.ingest.appendEvents>[0]) => audit.ingest.appendEvents(request)
  const relay = startRelay(outboxReader(metadata, 'metadata'), append, createLogger('metadata', 'silent'))
  const commits: number[] = []
  const seen: number[] = []
  const watch = async (): Promise<void> => {
    while (seen.length < count) {
      const checkpoint = (await audit.proofs.getCheckpoint({}).catch(() => undefined))?.checkpoint
      const size = Math.min(commits.length, Number(checkpoint?.size ?? 0))
      while (seen.length < size) seen.push(performance.now() - commits[seen.length]!)
      await sleep(5)
    }
  }
  const watching = watch()
  for (let at = 0; at < count; at += 1) {
    const id = randomUUID()
    await inTransaction(metadata, undefined, async (em) => {
      const resource = { type: 'model', id, namespace: 'default', name: 'default/x' }
      emitAs(em, 'service:metadata', { type: 'manifest.read.v1', resource })
    })
    commits.push(performance.now())
    relay.wake()
    await sleep(EVERY_MS)
  }
  await watching
  await relay.stop()
  await metadata.close(true)
  figures.report('event committed until in a published checkpoint, p50', percentile(seen, 50), 'ms')
  figures.report('event committed until in a published checkpoint, p99', percentile(seen, 99), 'ms', { most: 2000 })
}

const GOVERNED = ['model', 'version']

const TURNS = 8

/** Compares CreateVersion with its event and with an idle outbox: a trigger skips the new rows, and no trigger requires them.
 * The statement is still sent, so that the round trip counts in both. Each round takes a fifth of a second, so that other
 * load affects both equally. */
export async function measureOutbox(figures: Figures, registry: Registry, rounds: number): Promise<void> {
  const database = openMetadata({ url: registry.url })
  const em = forkFor(database)
  const owner = (statement: string) => registry.asOwner(statement)
  await owner(`create function metadata.nothing() returns trigger language plpgsql as 'begin return null; end'`)
  await owner('create trigger idle before insert on metadata.outbox for each row execute function metadata.nothing()')
  const set = async (isOn: boolean): Promise<void> => {
    await owner(`alter table metadata.outbox ${isOn ? 'disable' : 'enable'} trigger idle`)
    for (const table of GOVERNED) {
      await owner(`alter table metadata.${table} ${isOn ? 'enable' : 'disable'} trigger ${table}_event`)
    }
  }
  await set(true)
  await registry.fill('outbox', 1000)
  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    const times: number[] = []
    for (let turn = 0; turn < TURNS; turn += 1) {
      const began = performance.now()
      await work()
      times.push(performance.now() - began)
    }
    return median(times)
  }
  const found: { on: number; cost: number }[] = []
  for (let round = 0; round < rounds; round += 1) {
    const times = { on: 0, off: 0 }
    for (const name of round % 2 === 0 ? (['on', 'off'] as const) : (['off', 'on'] as const)) {
      await set(name === 'on')
      await registry.create('outbox')
      times[name] = await timed(() => registry.create('outbox'))
    }
    const without = times.off - (await timed(() => em.execute('select 1')))
    found.push({ on: times.on, cost: (100 * (times.on - without)) / without })
  }
  await database.close(true)
  figures.report('CreateVersion, p50', median(found.map(({ on }) => on)), 'ms')
  figures.report('the outbox of that', median(found.map(({ cost }) => cost)), '%', { most: 10 })
}
