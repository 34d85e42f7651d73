import { Code, ConnectError } from '@connectrpc/connect'
import { afterAll, afterEach, expect, test, vi } from 'vitest'
import { LogService, type WatchEntriesResponse } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { openStore } from '../../../services/audit/store/orm.ts'
import { fillTo } from '../../bench/audit-seed.ts'
import { makeEvents, startAudit } from '../../support/audit.ts'
import { createDatabase, runSql } from '../../support/database.ts'
import { refusalOf } from '../../support/refusal.ts'

const database = await createDatabase()
const audit = await startAudit(database.url)
const other = await startAudit(database.url)
const { ingest, log } = audit
afterAll(async () => {
  await audit.close()
  await other.close()
  await database.drop()
})

const stops: AbortController[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop.abort()
})

/** Collects the messages of a watch, and how it ended. */
function watch(client: typeof log, request: { fromIndex?: bigint; filter?: string }) {
  const stop = new AbortController()
  stops.push(stop)
  const seen: WatchEntriesResponse[] = []
  const read = async () => {
    for await (const message of client.watchEntries(request, { signal: stop.signal })) seen.push(message)
  }
  const ended = read().then(
    () => 'answered',
    (error: unknown) => Code[ConnectError.from(error).code],
  )
  return {
    seen,
    ended,
    indexes: () => seen.flatMap(({ entries }) => entries.map(({ index }) => Number(index))),
    next: () => Number(seen.at(-1)?.nextIndex ?? -1),
  }
}

let sequence = 1
async function append(count: number, init: Parameters<typeof makeEvents>[2] = {}): Promise<number[]> {
  const events = makeEvents(sequence, Math.min(count, 256), init)
  sequence += events.length
  const { indexes } = await ingest.appendEvents({ events })
  const rest = count > events.length ? await append(count - events.length, init) : []
  return [...indexes.map(Number), ...rest]
}

test('streams past and then new entries, also from another replica, without gap or repeat', async () => {
  const history = await append(600)
  const here = watch(log, {})
  const there = watch(other.log, {})
  await vi.waitFor(() => expect(here.indexes()).toEqual(history), 10_000)
  const live = [...(await append(1)), ...(await append(2))]
  for (const { indexes, next } of [here, there]) {
    await vi.waitFor(() => expect(indexes()).toEqual([...history, ...live]), 10_000)
    expect(next()).toBe(603)
  }
  for (const { entries } of here.seen) expect(entries.length).toBeLessThanOrEqual(256)
})

test('resumes from next_index after a broken stream, and waits for an index that does not exist yet', async () => {
  const first = watch(log, { fromIndex: 500n })
  await vi.waitFor(() => expect(first.next()).toBe(603), 10_000)
  expect(first.indexes()[0]).toBe(500)
  stops.pop()!.abort()
  await first.ended
  const second = watch(log, { fromIndex: BigInt(first.next()) })
  const future = watch(log, { fromIndex: 605n })
  await vi.waitFor(() => expect(future.next()).toBe(605), 10_000)
  expect(await append(4)).toEqual([603, 604, 605, 606])
  await vi.waitFor(() => expect(second.indexes()).toEqual([603, 604, 605, 606]), 10_000)
  await vi.waitFor(() => expect(future.indexes()).toEqual([605, 606]), 10_000)
})

test('a filter without matches advances next_index by heartbeats', async () => {
  const quiet = watch(log, { filter: 'type = nothing.ever.v1' })
  await vi.waitFor(() => expect(quiet.next()).toBe(607), 10_000)
  await append(5)
  const some = watch(log, { filter: 'type = alias.moved.v1', fromIndex: 607n })
  await vi.waitFor(() => expect(some.next()).toBe(612), 10_000)
  const [moved] = await append(1, { type: 'alias.moved.v1' })
  await vi.waitFor(() => expect(some.indexes()).toEqual([moved]), 10_000)
  await vi.waitFor(() => expect(quiet.next()).toBe(613), 10_000)
  expect(quiet.indexes()).toEqual([])
  expect(quiet.seen.length).toBeGreaterThan(1)
})

test('streams only readable entries, and ends soon after the token is revoked', async () => {
  audit.known.set('mk_vision', { principal: 'v', roles: { vision: Role.READER } })
  const vision = watch(audit.client(LogService, 'mk_vision'), {})
  await append(3)
  const shown = await append(2, { resource: { type: 'model', id: 'm', namespace: 'vision', name: 'vision/m' } })
  await append(3)
  await vi.waitFor(() => expect(vision.indexes()).toEqual(shown), 10_000)
  audit.known.delete('mk_vision')
  expect(await vision.ended).toBe('Unauthenticated')
})

test('rejects a watch with an invalid index or filter', async () => {
  const first = async (request: { fromIndex?: bigint; filter?: string }) => {
    for await (const message of log.watchEntries(request)) return message
  }
  expect((await refusalOf(first({ fromIndex: -1n }))).fields).toEqual(['from_index'])
  expect((await refusalOf(first({ filter: 'colour = red' }))).fields).toEqual(['filter'])
})

test('a slow consumer does not delay others', async () => {
  const slow = log.watchEntries({})[Symbol.asyncIterator]()
  await slow.next()
  const quick = watch(log, { fromIndex: 621n })
  const more = await append(600)
  await vi.waitFor(() => expect(quick.indexes()).toEqual(more), 10_000)
  await slow.return?.()
})

test('ends watches with UNAVAILABLE when the process drains', async () => {
  const ending = watch(other.log, {})
  await vi.waitFor(() => expect(ending.seen.length).toBeGreaterThan(0), 10_000)
  other.draining.abort()
  expect(await ending.ended).toBe('Unavailable')
})

test('streams large entries in several messages, without losing one', async () => {
  const fromIndex = BigInt((await append(1))[0]!)
  const large = [...(await append(1)), ...(await append(40, { details: { text: 'x'.repeat(59_000) } }))]
  const watching = watch(log, { fromIndex: fromIndex + 1n })
  await vi.waitFor(() => expect(watching.next()).toBe(large.at(-1)! + 1), 10_000)
  expect(watching.indexes()).toEqual(large)
  expect(watching.seen.length).toBeGreaterThan(1)
})

test('skips no match in a log longer than one scan, for any reader', async () => {
  const store = openStore({ url: database.url })
  await fillTo(store, 20_100)
  await store.close(true)
  const wanted = [1_000, 19_999, 20_000, 20_001, 20_099]
  const filter = wanted.map((index) => `index = ${index}`).join(' OR ')
  const some = watch(log, { filter })
  audit.known.set('mk_team', { principal: 't', roles: { 'team-9': Role.READER, vision: Role.READER } })
  const team = watch(audit.client(LogService, 'mk_team'), { filter: 'index > 19000' })
  await vi.waitFor(() => expect(some.next()).toBe(20_100), 10_000)
  expect(some.indexes()).toEqual(wanted)
  const ofTeam = `select index::int from audit.entry where namespace = 'team-9' and index > 19000 order by index`
  const expected = ((await runSql(database.url, ofTeam)) as { index: number }[]).map(({ index }) => index)
  await vi.waitFor(() => expect(team.indexes()).toEqual(expected), 10_000)
})
