import { pino } from 'pino'
import { randomUUID } from 'node:crypto'
import { afterAll, expect, test, vi } from 'vitest'
import { startRelay } from '#lib/relay.ts'
import { inTransaction } from '#lib/store/database.ts'
import { emitAs, outboxReader } from '#lib/store/outbox.ts'
import { openStore } from '../../../services/metadata/store/orm.ts'
import { startAudit } from '../../support/audit.ts'
import { createDatabase } from '../../support/database.ts'

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

test('a backlog of large events reaches the log, although one message could not hold it', async () => {
  await write(150, 'x'.repeat(50_000))
  relay.wake()
  const size = async () => Number((await audit.log.listEntries({ pageSize: 1 })).logSize)
  await vi.waitFor(async () => expect(await size()).toBe(150), 20_000)
})

test('an event that the log would not take fails the change, and holds up nothing', async () => {
  await expect(write(1, 'x'.repeat(1_000_000))).rejects.toThrow('too large')
})
