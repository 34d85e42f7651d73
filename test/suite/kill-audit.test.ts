// PostgreSQL is killed while the log and a service that sends to it stand still before and after commits. `npm run
// kill:audit` kills all three at random under load.
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { ModelService } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { makeEvents } from '../support/audit.ts'
import { runSql } from '../support/database.ts'
import {
  afterCommit,
  beforeCommit,
  freezeAt,
  startFreezingDatabase,
  type FreezingDatabase,
} from '../support/freezing-database.ts'
import { checkLog } from '../support/kill-verdict.ts'
import { openWorld, type World } from '../support/kill-world.ts'
import { grpcClient } from '../support/suite.ts'

let world: World
const databases = {} as Record<'metadata' | 'audit', FreezingDatabase>
beforeAll(async () => {
  world = await openWorld(async (name, url) => {
    databases[name] = await startFreezingDatabase(url)
    return databases[name].url
  })
}, 120_000)
afterAll(async () => {
  await world.stop()
  for (const database of Object.values(databases)) await database.close()
})

const MODEL = /insert into "metadata"\."model"/
const ENTRY = /insert into entry /

test('the log has every committed event once after PostgreSQL is killed', async () => {
  const models = grpcClient(ModelService, world.addresses.metadata, world.adminToken)
  const ingest = grpcClient(IngestService, world.addresses.audit, world.artifactToken)
  const [kept, lost] = ['kept', 'lost'].map((name) => ({ name, requestId: randomUUID() }))
  const [first, second] = [makeEvents(1, 3, { producer: 'artifact' }), makeEvents(4, 3, { producer: 'artifact' })]
  // The log is locked last, so that no other event comes between.
  const calls = [
    await freezeAt(databases.audit, afterCommit(ENTRY), () => ingest.appendEvents({ events: first })),
    await freezeAt(databases.audit, beforeCommit(ENTRY), () => ingest.appendEvents({ events: second })),
    await freezeAt(databases.metadata, beforeCommit(MODEL), () => models.createModel(lost!)),
    await freezeAt(databases.metadata, afterCommit(MODEL), () => models.createModel(kept!)),
  ]
  const before = await readState()
  expect(before).toEqual({ models: ['kept'], events: first.map(({ id }) => id) })

  await world.victims.postgres.kill()
  expect(await Promise.all(calls.map(({ isAnswered }) => isAnswered))).toEqual([false, false, false, false])
  await world.victims.postgres.start()
  expect(await readState()).toEqual(before)

  const patiently = <T>(call: () => Promise<T>): Promise<T> => vi.waitFor(call, { timeout: 30_000, interval: 100 })
  const indexes = new Map<number, string>()
  for (const events of [first, second]) {
    const answer = await patiently(() => ingest.appendEvents({ events }))
    answer.indexes.forEach((index, at) => indexes.set(Number(index), events[at]!.id))
  }
  const answers = []
  for (const request of [kept!, lost!]) answers.push(await patiently(() => models.createModel(request)))
  expect(await readState()).toEqual({ models: ['kept', 'lost'], events: [...first, ...second].map(({ id }) => id) })
  const { violations } = await checkLog(world, { indexes, models: new Set(answers.map(({ model }) => model!.id)) })
  expect(violations).toEqual([])
})

/** Reads the committed state directly from the database. */
async function readState(): Promise<{ models: string[]; events: string[] }> {
  const read = async (statement: string): Promise<string[]> =>
    ((await vi.waitFor(() => runSql(world.databaseUrl, statement), 10_000)) as { value: string }[]).map(
      ({ value }) => value,
    )
  return {
    models: await read('select name as value from metadata.model order by name'),
    events: await read(`select event_id as value from audit.entry where producer = 'artifact' order by index`),
  }
}
