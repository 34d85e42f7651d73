// Kills a service with SIGKILL at a named point of a step of the main job: nothing acknowledged is lost, nothing is duplicated, and
// the repeated step succeeds.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { SERVICE_NAMES, type ServiceName } from '../../services/lib/process/settings.ts'
import { runSql } from '../support/database.ts'
import {
  after,
  afterCommit,
  before,
  beforeCommit,
  freezeAt,
  startFreezingDatabase,
  type FreezePoint,
  type FreezingDatabase,
} from '../support/freezing-database.ts'
import { readLog } from '../support/journey.ts'
import { minioSettings } from '../support/minio.ts'
import { STEPS, type Attempt, type StepName } from '../support/steps.ts'
import { startSuite, type Suite } from '../support/suite.ts'

let suite: Suite
const databases = {} as Record<ServiceName, FreezingDatabase>
beforeAll(async () => {
  suite = await startSuite(await minioSettings(), async (name, url) => {
    databases[name] = await startFreezingDatabase(url)
    return databases[name].url
  })
})
afterAll(async () => {
  await suite.stop()
  for (const database of Object.values(databases)) await database.close()
})

/** The point at which a service is frozen and killed. */
interface Stop {
  step: StepName
  at: FreezePoint | 'in the stream'
  /** Whether the step had been done, and whether its event was in the log. */
  done?: boolean
  logged?: boolean
}

const TOKEN = /from token where token_hash/
const VERSION = /insert into version /
const MOVE = /insert into alias_move /
const HOLD = /insert into "artifact"\."manifest_hold"/
/** The same statement starts and completes uploads: this form completes one. */
const BLOB = /insert into namespace_blob[^]*"partSha256s":/
const TREE = /update log_head set/
const ENTRY = /insert into entry /

/** The steps that each kill interrupts, by the killed service. */
const KILLS: Record<ServiceName, Stop[][]> = {
  metadata: [
    [
      { step: 'upload', at: before(TOKEN) },
      { step: 'registration', at: beforeCommit(VERSION) },
      { step: 'registration', at: afterCommit(VERSION), done: true },
      { step: 'move', at: beforeCommit(MOVE) },
      { step: 'move', at: afterCommit(MOVE), done: true },
      { step: 'download', at: before(TOKEN) },
    ],
  ],
  artifact: [
    [
      { step: 'upload', at: before(BLOB) },
      { step: 'registration', at: beforeCommit(HOLD) },
      { step: 'registration', at: afterCommit(HOLD) },
      { step: 'download', at: 'in the stream' },
    ],
    // Only one such statement runs at a time.
    [{ step: 'upload', at: after(BLOB), done: true }],
  ],
  audit: [
    // The first statement holds no lock, so the event of the other service follows it.
    [
      { step: 'registration', at: afterCommit(ENTRY), done: true, logged: true },
      { step: 'upload', at: before(TREE), done: true },
    ],
    [{ step: 'move', at: beforeCommit(ENTRY), done: true }],
  ],
}

/** The steps that do not need the service. */
const WITHOUT: Record<ServiceName, StepName[]> = { metadata: [], artifact: ['move'], audit: ['download'] }

interface Killed extends Stop {
  attempt: Attempt
  isAnswered: () => Promise<boolean>
  /** The state when the service was frozen. */
  found: { done: boolean; logged: boolean }
}

describe.each(SERVICE_NAMES)('while %s is killed', (victim) => {
  const killed: Killed[] = []
  const unharmed: Attempt[] = []

  beforeAll(async () => {
    unharmed.push(...(await Promise.all(WITHOUT[victim].map((step) => STEPS[step](suite)))))
    for (const stops of KILLS[victim]) {
      const attempts = await Promise.all(stops.map(({ step }) => STEPS[step](suite)))
      await expectAllLogged()
      for (const [at, stop] of stops.entries()) killed.push(await freeze(stop, attempts[at]!))
      await suite.kill(victim)
      for (const { call } of unharmed) await call()
      await suite.start(victim)
      await expireClaims()
    }
  }, 120_000)

  async function freeze(stop: Stop, attempt: Attempt): Promise<Killed> {
    const { at } = stop
    const begin = async () => {
      if (at === 'in the stream') return attempt.stall!()
      const { isAnswered } = await freezeAt(databases[victim], at, attempt.call)
      return { isAnswered: () => isAnswered }
    }
    const { isAnswered } = await begin()
    // A step that is frozen in the log was acknowledged before.
    if (victim === 'audit') await isAnswered()
    return { ...stop, attempt, isAnswered, found: { done: await attempt.isDone(), logged: await attempt.isLogged() } }
  }

  test.each([
    ['an upload of the same bytes ends in one blob', 'upload'],
    ['a registration under one request id makes one version and one event', 'registration'],
    ['an alias move under one request id happens once', 'move'],
    ['a download can be repeated and has every byte', 'download'],
  ] as const)('%s', async (_what, step) => {
    const hit = killed.filter((one) => one.step === step)
    for (const { attempt, isAnswered, found, done = false, logged = false } of hit) {
      expect(found).toEqual({ done, logged })
      expect(await isAnswered()).toBe(victim === 'audit')
      await vi.waitFor(attempt.call, { timeout: 60_000, interval: 100 })
      await attempt.check()
    }
    const others = WITHOUT[victim].includes(step) ? unharmed : []
    for (const { check } of others) await check()
    expect(hit.length + others.length).toBeGreaterThan(0)
  })
})

test('afterwards the log has every committed event, without gaps or duplicates', async () => {
  await expectAllLogged()
  const indexes = (await readLog(suite)).map(({ index }) => Number(index))
  expect(indexes).toEqual(indexes.map((_, index) => index))
})

const PRODUCERS = ['metadata', 'artifact']

/** Lets the claims of the killed process expire. */
async function expireClaims(): Promise<void> {
  for (const producer of PRODUCERS) {
    await runSql(suite.databaseUrl, `update ${producer}.outbox_counter set sender_until = clock_timestamp()`)
  }
}

async function expectAllLogged(): Promise<void> {
  for (const producer of PRODUCERS) {
    const [row] = await runSql(suite.databaseUrl, `select last_sequence::int as last from ${producer}.outbox_counter`)
    const all = Array.from({ length: (row as { last: number }).last }, (_, at) => at + 1)
    const read = async () =>
      (await readLog(suite, `producer = ${producer}`)).map(({ event }) => Number(event!.sequence))
    await vi.waitFor(async () => expect(await read()).toEqual(all), { timeout: 30_000, interval: 100 })
  }
}
