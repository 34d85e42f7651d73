import { pino } from 'pino'
import { randomUUID } from 'node:crypto'
import { afterAll, expect, test, vi } from 'vitest'
import { IngestService, type AppendEventsRequest } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { peerClient } from '#lib/server/peers.ts'
import { createLogger } from '#lib/process/log.ts'
import { startRelay } from '#lib/events/relay.ts'
import { inTransaction } from '#lib/store/database.ts'
import { emitAs, outboxReader } from '#lib/store/outbox.ts'
import { openStore } from '../../../services/metadata/store/orm.ts'
import { METADATA_TOKEN, startAudit } from '../../support/audit.ts'
import { createDatabase, runSql } from '../../support/database.ts'

const database = await createDatabase()
const audit = await startAudit(database.url)
const metadata = openStore({ url: database.url })
const relay = startRelay(
  outboxReader(metadata, 'metadata'),
  (request) => audit.ingest.appendEvents(request),
  pino({ level: 'silent' }),
)
afterAll(async () => {
  await relay.stop()
  await metadata.close(true)
  await audit.close()
  await database.drop()
})

const write = (count: number, text: string) =>
  inTransaction(metadata, undefined, async (em) => {
    for (let at = 0; at < count; at += 1) {
      const resource = { type: 'model', id: randomUUID(), namespace: 'default', name: 'default/x' }
      emitAs(em, 'service:metadata', { type: 'model.created.v1', resource, details: { text } })
    }
  })

test('the relay sends a backlog of large events in several messages', async () => {
  await write(150, 'x'.repeat(50_000))
  relay.wake()
  const size = async () => Number((await audit.log.listEntries({ pageSize: 1 })).logSize)
  await vi.waitFor(async () => expect(await size()).toBe(150), 20_000)
})

test('an event over the size limit fails its change, and does not block later events', async () => {
  await expect(write(1, 'x'.repeat(1_000_000))).rejects.toThrow('too large')
})

/** Creates a client of the log like that of the metadata service. */
const peer = (token: string, address = audit.address) => peerClient(IngestService, { name: 'audit', address, token })

test('the relay logs each reason of a rejection once, also after an outage of the log', async () => {
  await relay.stop()
  const logs: string[] = []
  const record = (line: string): void => {
    const { level, reason = '' } = JSON.parse(line) as { level: string; reason?: string }
    logs.push(`${level} ${reason}`)
  }
  let ingest = peer(METADATA_TOKEN, 'http://127.0.0.1:1')
  let calls = 0
  const append = (request: AppendEventsRequest) => {
    calls += 1
    return ingest.appendEvents(request)
  }
  const other = startRelay(
    outboxReader(metadata, 'metadata'),
    append,
    createLogger('metadata', 'info', { write: record }),
  )
  const logged = async (line: string): Promise<void> => {
    other.wake()
    await vi.waitFor(() => expect(logs.at(-1)).toBe(line), 10_000)
  }
  const counter = (change: string) => runSql(database.url, `update metadata.outbox_counter set ${change}`)

  await write(1, 'first')
  await logged('warn ')
  ingest = peer('mks_unknown')
  await logged('error TOKEN_INVALID')
  ingest = peer(METADATA_TOKEN)
  await logged('info ')
  await runSql(
    database.url,
    `insert into metadata.outbox (event_id, resource_id, event) values (gen_random_uuid(), 'x', '{"type": "unknown"}')`,
  )
  await logged('error FIELD_INVALID')
  // Skipping the rejected event does not help.
  await counter('sent_sequence = last_sequence')
  await write(1, 'second')
  await logged('error SEQUENCE_GAP')
  const before = calls
  other.wake()
  await vi.waitFor(() => expect(calls).toBeGreaterThan(before + 1), 10_000)
  const expected = ['warn ', 'error TOKEN_INVALID', 'info ', 'error FIELD_INVALID', 'error SEQUENCE_GAP']
  expect(logs).toEqual(expected)
  // Another replica that sends is no sign that the log accepts the events again.
  await counter(`sender = 'other', sender_until = clock_timestamp() + interval '4 seconds'`)
  await other.stop()
  expect(logs).toEqual(expected)
})
