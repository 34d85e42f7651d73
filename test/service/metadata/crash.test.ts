// SIGKILL of the metadata service at a named statement: acknowledged changes are stored, others are stored completely or
// not at all, a repeat with the same request id returns the answer, and the log has every event once.
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { CHANGES, newModel, registration, type Change } from '../../support/interrupted-changes.ts'
import { after, afterCommit, before, beforeCommit } from '../../support/freezing-database.ts'
import { byName, newName } from '../../support/metadata.ts'
import { startKillableMetadata } from '../../support/killable-metadata.ts'

const metadata = await startKillableMetadata()
afterAll(() => metadata.stop())
const { admin, audit, expireClaims, peers, sql } = metadata

async function counters() {
  const [row] = await sql<{ last: string; sent: string }>(
    'select last_sequence as last, sent_sequence as sent from metadata.outbox_counter',
  )
  return { last: Number(row!.last), sent: Number(row!.sent) }
}

const CASES = CHANGES.flatMap(([what, prepare, insert]) => [
  { when: `in ${what}, before its event is written`, prepare, point: before(/insert into .*outbox/) },
  { when: `in ${what}, before its commit`, prepare, point: beforeCommit(insert) },
  { when: `in ${what}, after its commit, before the answer`, prepare, point: afterCommit(insert) },
])

describe('stores a change completely or not at all, and once when it is repeated, after a kill', () => {
  interface Killed extends Change {
    requestId: string
    wasAnswered: boolean
    initial: State
    frozen: State
    restarted: State
  }
  interface State {
    isDone: boolean
    events: number
    answers: number
  }
  const killed: Killed[] = []
  const stateOf = async ({ isDone, model, requestId }: Change & { requestId: string }): Promise<State> => {
    const [counts] = await sql<{ events: number; answers: number }>(
      `select (select count(*)::int from metadata.outbox where event -> 'resource' ->> 'name' ~ ?) as events,
        (select count(*)::int from metadata.answered_request where request_id = ?) as answers`,
      [`^default/${model}\\y`, requestId],
    )
    return { isDone: await isDone(), ...counts! }
  }

  // All calls are frozen at their statement, and one kill ends them.
  beforeAll(async () => {
    const changes = []
    for (const { prepare } of CASES) changes.push({ ...(await prepare(metadata)), requestId: randomUUID() })
    const initial = await Promise.all(changes.map(stateOf))
    const calls = []
    for (const [at, { call, requestId }] of changes.entries()) {
      calls.push(await metadata.freeze(CASES[at]!.point, () => call(requestId)))
    }
    const frozen = await Promise.all(changes.map(stateOf))
    await metadata.killAndStart()
    const answered = await Promise.all(calls.map(({ isAnswered }) => isAnswered))
    const restarted = await Promise.all(changes.map(stateOf))
    for (const [at, change] of changes.entries()) {
      const states = { initial: initial[at]!, frozen: frozen[at]!, restarted: restarted[at]! }
      killed.push({ ...change, ...states, wasAnswered: answered[at]! })
    }
  })

  test.each(CASES.map(({ when, point }, at) => [when, point, at] as const))('%s', async (_when, point, at) => {
    const { call, events, initial, frozen, restarted, requestId, wasAnswered } = killed[at]!
    const whole = { isDone: true, events: initial.events + events, answers: 1 }
    expect(initial).toMatchObject({ isDone: false, answers: 0 })
    expect(frozen).toEqual(point.side === 'after' ? whole : initial)
    expect(restarted).toEqual(frozen)
    expect(wasAnswered).toBe(false)
    const answer = await call(requestId)
    expect(await call(requestId)).toEqual(answer)
    expect(await stateOf(killed[at]!)).toEqual(whole)
  })
})

describe('releases the manifest of a version that was not created, after a kill', () => {
  const pendingReleases = () => sql<{ version_id: string }>('select version_id from metadata.manifest_release')
  const expectNoPendingReleases = async (): Promise<void> => {
    await expireClaims()
    await expect.poll(pendingReleases).toEqual([])
  }
  const expectRetained = async (): Promise<void> => {
    const versions = await sql<{ id: string }>('select id from metadata.version order by id')
    expect([...peers.retained.keys()].toSorted()).toEqual(versions.map(({ id }) => id))
  }
  beforeEach(expectNoPendingReleases)

  test.each([
    ['before the manifest is retained', after(/insert into manifest_release/), false],
    ['after the manifest is retained, before the version is written', before(/insert into answered_request/), true],
  ])('%s', async (_when, point, isRetained) => {
    const { call, isDone } = await registration(metadata)
    const requestId = randomUUID()
    const { isAnswered } = await metadata.freeze(point, () => call(requestId))
    expect((await pendingReleases()).map(({ version_id: id }) => peers.retained.has(id))).toEqual([isRetained])
    await metadata.killAndStart()
    expect(await isAnswered).toBe(false)
    await call(requestId)
    expect(await isDone()).toBe(true)
    await expectNoPendingReleases()
    await expectRetained()
  })

  test('after the manifest is released, before that is recorded', async () => {
    const model = byName(await newModel(admin, 1))
    const { versions } = await admin.versions.listVersions({ model })
    const { id } = versions[0]!
    const request = { version: { ref: { case: 'id' as const, value: id } }, reason: 'bad data' }
    const point = before(/^delete from .*manifest_release" where "version_id" = \S+$/)
    const { answer } = await metadata.freeze(point, () => admin.versions.deleteVersion(request))
    await answer
    expect(peers.retained.has(id)).toBe(false)
    expect(await pendingReleases()).toEqual([{ version_id: id }])
    await metadata.killAndStart()
    await expectNoPendingReleases()
    expect(peers.calls.filter((call) => call === `release ${id}`)).toHaveLength(2)
    await expectRetained()
  })
})

async function logOf(name = ''): Promise<number[]> {
  const filter = `producer = metadata${name && ` AND resource.name = "default/${name}"`}`
  const { entries } = await audit.log.listEntries({ orderBy: 'index', pageSize: 1000, filter })
  return entries.map(({ event }) => Number(event!.sequence))
}

describe('sends an event from the outbox to the log once, after a kill', () => {
  test.each([
    ['before the outbox is claimed', before(/^update outbox_counter set sender = /), 0, false],
    ['after the log has appended it, before that is recorded', before(/^update outbox_counter set sent_seq/), 1, false],
    ['after that is recorded', after(/^update outbox_counter set sent_seq/), 1, true],
  ])('%s', async (_when, point, taken, isRecorded) => {
    await expireClaims()
    const { last: all } = await counters()
    await expect.poll(counters).toEqual({ last: all, sent: all })
    const name = newName()
    const { answer } = await metadata.freeze(point, () => admin.models.createModel({ name, requestId: randomUUID() }))
    await answer
    const last = all + 1
    expect(await counters()).toEqual({ last, sent: isRecorded ? last : all })
    expect(await logOf(name)).toEqual([last].slice(0, taken))
    await metadata.killAndStart()
    await expireClaims()
    await expect.poll(counters).toEqual({ last, sent: last })
    expect(await logOf(name)).toEqual([last])
  })
})

test('ends with every committed event in the log, once and in order', async () => {
  await expireClaims()
  const { last } = await counters()
  await expect.poll(() => logOf()).toEqual(Array.from({ length: last }, (_, at) => at + 1))
  expect((await audit.log.getLogHealth({})).alarms).toEqual([])
})
