// kill -9 of any one service in the middle of any step of the main job: nothing acknowledged is lost, nothing is doubled,
// and the same step again succeeds.
import { Code, ConnectError } from '@connectrpc/connect'
import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { AliasService } from '../../gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { VersionService } from '../../gen/modelkeep/metadata/v1/version_service_pb.ts'
import { SERVICE_NAMES, type ServiceName } from '../../services/lib/settings.ts'
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
import { startSuite, type Suite } from '../support/suite.ts'

let suite: Suite
beforeAll(async () => {
  suite = await startSuite(await minioSettings())
})
afterAll(() => suite.stop())

/** Starts `step`, kills a service after a seeded number of turns of the event loop, starts it again, and takes the step
 * again until it succeeds. */
async function withKill<T>(victim: ServiceName, turns: number, step: () => Promise<T>): Promise<T> {
  const first = step().then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate)
  await suite.kill(victim)
  const outcome = await first
  await suite.start(victim)
  if ('error' in outcome) expect(LOST).toContain(ConnectError.from(outcome.error).code)
  return vi.waitFor(step, { timeout: 60_000, interval: 100 })
}

const LOST = [Code.Unavailable, Code.Aborted, Code.Canceled, Code.Unknown, Code.Internal, Code.DeadlineExceeded]
const TURNS = [0, 20, 200, 1000]

describe.each(SERVICE_NAMES)('while %s is killed', (victim) => {
  test('an upload of the same bytes ends in one blob', async () => {
    for (const turns of TURNS) {
      const bytes = randomBytes(20 * 1024 * 1024)
      const digest = await withKill(victim, turns, () => uploadBytes(suite, bytes))
      expect((await download(suite, digest)).equals(bytes)).toBe(true)
      const blobs = await runSql(suite.databaseUrl, 'select 1 from artifact.blob where digest = ?', [digest])
      expect(blobs).toHaveLength(1)
    }
  })

  test('a registration under one request id makes one version and one event', async () => {
    const model = `register ${victim}`
    await createModel(suite, model)
    for (const [index, turns] of TURNS.entries()) {
      const manifestDigest = await createManifest(suite, { 'model.bin': randomBytes(1000) })
      const request = { model: modelRef(model), manifestDigest, requestId: randomUUID() }
      const { version } = await withKill(victim, turns, () => suite.client(VersionService).createVersion(request))
      expect(version!.number).toBe(index + 1)
    }
    const { versions } = await suite.client(VersionService).listVersions({ model: modelRef(model) })
    expect(versions.map(({ number }) => number)).toEqual([4, 3, 2, 1])
    await expect.poll(() => eventsOf('version.created.v1', `default/${model}:`), { timeout: 30_000 }).toBe(4)
  })

  test('an alias move under one request id happens once', async () => {
    const model = `move ${victim}`
    await createModel(suite, model)
    for (let number = 1; number <= TURNS.length; number += 1) await createVersion(suite, model, randomBytes(100))
    for (const [index, turns] of TURNS.entries()) {
      const targets = [
        { name: 'production', target: { case: 'number' as const, value: index + 1 }, expectedNumber: index },
      ]
      const request = { model: modelRef(model), targets, reason: 'because', requestId: randomUUID() }
      const { aliases } = await withKill(victim, turns, () => suite.client(AliasService).setAliases(request))
      expect(aliases[0]!.number).toBe(index + 1)
    }
    const { moves } = await suite.client(AliasService).listAliasMoves({ model: modelRef(model) })
    expect(moves.map((move) => [move.fromNumber, move.toNumber])).toEqual([
      [3, 4],
      [2, 3],
      [1, 2],
      [0, 1],
    ])
    await expect.poll(() => eventsOf('alias.moved.v1', `default/${model}@production`), { timeout: 30_000 }).toBe(4)
  })

  test('a download can be taken again and has every byte', async () => {
    const bytes = randomBytes(20 * 1024 * 1024)
    const digest = await uploadBytes(suite, bytes)
    for (const turns of TURNS) {
      expect((await withKill(victim, turns, () => download(suite, digest))).equals(bytes)).toBe(true)
    }
  })
})

test('afterwards the log is contiguous, without gap or double, and has every event that was committed', async () => {
  for (const producer of ['metadata', 'artifact']) {
    const [counter] = (await runSql(
      suite.databaseUrl,
      `select last_sequence::int as last from ${producer}.outbox_counter`,
    )) as [{ last: number }]
    await expect
      .poll(async () => (await readLog(suite, `producer = ${producer}`)).length, { timeout: 30_000 })
      .toBe(counter.last)
    const sequences = (await readLog(suite, `producer = ${producer}`)).map(({ event }) => Number(event!.sequence))
    expect(sequences).toEqual(Array.from({ length: counter.last }, (_, index) => index + 1))
  }
  const indexes = (await readLog(suite)).map(({ index }) => Number(index))
  expect(indexes).toEqual(indexes.map((_, index) => index))
})

async function eventsOf(type: string, name: string): Promise<number> {
  return (await readLog(suite, `type = "${type}" AND resource.name : "${name}"`)).length
}
