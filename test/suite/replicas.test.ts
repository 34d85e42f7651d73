// Two replicas of every service on one database and one bucket.
import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AliasService } from '../../gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { VersionService } from '../../gen/modelkeep/metadata/v1/version_service_pb.ts'
import { reasonOf } from '../../services/lib/errors/read-error.ts'
import { runSql } from '../support/database.ts'
import {
  createManifest,
  createModel,
  createVersion,
  download,
  modelRef,
  readLog,
  uploadBytes,
} from '../support/journey.ts'
import { minioSettings } from '../support/minio.ts'
import { startSuite, type RunningProcess, type Suite } from '../support/suite.ts'

let suite: Suite
let metadata: RunningProcess
let artifact: RunningProcess
beforeAll(async () => {
  suite = await startSuite(await minioSettings())
  metadata = await suite.addReplica('metadata')
  artifact = await suite.addReplica('artifact')
  await suite.addReplica('audit')
})
afterAll(() => suite.stop())

const replica = (index: number) => (index % 2 === 0 ? {} : { address: metadata.address })

test('clients racing for the next version number get dense numbers', async () => {
  await createModel(suite, 'race')
  const digests: string[] = []
  for (let index = 0; index < 16; index += 1)
    digests.push(await createManifest(suite, { 'model.bin': randomBytes(64) }))
  const created = await Promise.all(
    digests.map((manifestDigest, index) =>
      suite
        .client(VersionService, replica(index))
        .createVersion({ model: modelRef('race'), manifestDigest, requestId: randomUUID() }),
    ),
  )
  const numbers = created.map(({ version }) => version!.number).toSorted((a, b) => a - b)
  expect(numbers).toEqual(Array.from({ length: 16 }, (_, index) => index + 1))
})

test('one of the clients racing for an alias wins, and the others learn who won', async () => {
  await createModel(suite, 'alias race')
  for (let number = 1; number <= 8; number += 1) await createVersion(suite, 'alias race', randomBytes(64))
  const outcomes = await Promise.allSettled(
    Array.from({ length: 8 }, (_, index) =>
      suite.client(AliasService, replica(index)).setAliases({
        model: modelRef('alias race'),
        targets: [{ name: 'production', target: { case: 'number', value: index + 1 }, expectedNumber: 0 }],
        reason: `client ${index}`,
        requestId: randomUUID(),
      }),
    ),
  )
  const winners = outcomes.filter((outcome) => outcome.status === 'fulfilled')
  expect(winners).toHaveLength(1)
  const current = winners[0]!.value.aliases[0]!.number
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') continue
    const { reason, metadata: details } = reasonOf(outcome.reason)!
    expect(reason).toBe('ALIAS_MOVED')
    expect(details).toEqual({ alias: 'production', expected: '0', current: String(current) })
  }
})

test('clients racing with the same bytes all succeed and leave one stored object', async () => {
  const bytes = randomBytes(20 * 1024 * 1024)
  const digests = await Promise.all(Array.from({ length: 6 }, () => uploadBytes(suite, bytes)))
  expect(new Set(digests).size).toBe(1)
  const keys = await runSql(suite.databaseUrl, 'select 1 from artifact.blob where digest = ?', [digests[0]])
  expect(keys).toHaveLength(1)
  for (const address of [suite.processes.artifact.address, artifact.address]) {
    expect((await download(suite, digests[0]!, address)).equals(bytes)).toBe(true)
  }
})

test('a stopping replica finishes its calls, and the others continue', async () => {
  const bytes = randomBytes(48 * 1024 * 1024)
  const digest = await uploadBytes(suite, bytes)
  const running = download(suite, digest, artifact.address)
  await new Promise(setImmediate)
  expect(await artifact.terminate()).toBe(0)
  expect((await running).equals(bytes)).toBe(true)
  expect((await download(suite, digest)).equals(bytes)).toBe(true)
})

test('two relays of one producer keep the log contiguous', async () => {
  const counters = (await runSql(
    suite.databaseUrl,
    'select last_sequence::int as last from metadata.outbox_counter',
  )) as [{ last: number }]
  await expect
    .poll(async () => (await readLog(suite, 'producer = metadata')).length, { timeout: 30_000 })
    .toBe(counters[0].last)
  const sequences = (await readLog(suite, 'producer = metadata')).map(({ event }) => Number(event!.sequence))
  expect(sequences).toEqual(sequences.map((_, index) => index + 1))
})
