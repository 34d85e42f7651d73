import { Code, ConnectError } from '@connectrpc/connect'
import { afterAll, expect, test, vi } from 'vitest'
import type { Event } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { ARTIFACT_TOKEN, makeEvent, makeEvents, startAudit } from '../../support/audit.ts'
import { createDatabase, runSql } from '../../support/database.ts'

const database = await createDatabase()
const replicas = [await startAudit(database.url), await startAudit(database.url)]
afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.close()))
  await database.drop()
})

const [one, two] = replicas as [(typeof replicas)[0], (typeof replicas)[0]]

async function everyEntry() {
  const entries = []
  for (let pageToken = ''; ;) {
    const page = await one.log.listEntries({ orderBy: 'index', pageSize: 1000, pageToken })
    entries.push(...page.entries)
    if (!(pageToken = page.nextPageToken)) return entries
  }
}

test('two producers on two replicas append every event once, without a gap', async () => {
  const batches = Array.from({ length: 20 }, (_, batch) => makeEvents(1 + batch * 25, 25))
  const foreign = Array.from({ length: 20 }, (_, batch) => makeEvents(1 + batch * 25, 25, { producer: 'artifact' }))
  // Each producer's batches go to both replicas at the same time, as after a broken answer.
  const send = async (all: Event[][], token?: string) => {
    const clients = replicas.map((replica) => (token ? replica.client(IngestService, token) : replica.ingest))
    for (const events of all) {
      const answers = await Promise.all(clients.map((client) => client.appendEvents({ events })))
      expect(answers[0]!.indexes).toEqual(answers[1]!.indexes)
    }
  }
  await Promise.all([send(batches), send(foreign, ARTIFACT_TOKEN)])
  const entries = await everyEntry()
  expect(entries.map(({ index }) => Number(index))).toEqual(Array.from({ length: 1000 }, (_, index) => index))
  expect(new Set(entries.map(({ event }) => event!.id)).size).toBe(1000)
  for (const producer of ['metadata', 'artifact']) {
    const own = entries.filter(({ event }) => event!.producer === producer)
    expect(own.map(({ event }) => Number(event!.sequence))).toEqual(Array.from({ length: 500 }, (_, at) => at + 1))
  }
})

test('a killed connection leaves no partial append, and a retry of the batch succeeds', async () => {
  const events = makeEvents(501, 50)
  // Holds the append between its lock and its commit.
  const holder = runSql(database.url, `begin; lock table audit.entry in share mode; select pg_sleep(60); commit`).catch(
    () => undefined,
  )
  await vi.waitFor(() => expectActivity(`query like '%pg_sleep(60)%' and wait_event = 'PgSleep'`), 10_000)
  const broken = one.ingest.appendEvents({ events }).catch((error: unknown) => ConnectError.from(error).code)
  await vi.waitFor(() => expectActivity(`query like '%insert into entry%' and wait_event_type = 'Lock'`), 10_000)
  await killWhere(`query like '%insert into entry%' and wait_event_type = 'Lock'`)
  expect(await broken).toBe(Code.Unavailable)
  await killWhere(`query like '%pg_sleep(60)%'`)
  await holder
  expect((await two.log.listEntries({})).logSize).toBe(1000n)
  const { indexes } = await one.ingest.appendEvents({ events })
  expect(indexes).toEqual(events.map((_, position) => BigInt(1000 + position)))
  expect((await two.ingest.appendEvents({ events: [makeEvent(551)] })).indexes).toEqual([1050n])
})

const OTHERS = 'pid <> pg_backend_pid() and datname = current_database()'

async function expectActivity(condition: string): Promise<void> {
  const found = (await runSql(database.url, `select pid from pg_stat_activity where ${OTHERS} and ${condition}`)) as {
    pid: number
  }[]
  expect(found.length).toBeGreaterThan(0)
}

async function killWhere(condition: string): Promise<void> {
  await runSql(database.url, `select pg_terminate_backend(pid) from pg_stat_activity where ${OTHERS} and ${condition}`)
}
