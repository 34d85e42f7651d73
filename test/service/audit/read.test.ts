import { afterAll, beforeAll, expect, test } from 'vitest'
import { Outcome, RetentionClass, type LogEntry } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { makeEvent, startAudit } from '../../support/audit.ts'
import { createDatabase } from '../../support/database.ts'
import { refusalOf } from '../../support/refusal.ts'

const database = await createDatabase()
const audit = await startAudit(database.url)
const { ingest, log } = audit
afterAll(async () => {
  await audit.close()
  await database.drop()
})

/** Entries 0, 3, 6 … are in `fraud`, 1, 4, 7 … in `vision`, and 2, 5, 8 … in no namespace. */
const NAMESPACES = ['fraud', 'vision', '']
const EVENTS = Array.from({ length: 30 }, (_, at) => {
  const namespace = NAMESPACES[at % 3]!
  return makeEvent(at + 1, {
    type: at % 2 ? 'alias.moved.v1' : 'version.created.v1',
    actor: { principal: at < 20 ? 'alice' : 'bob', method: 'token' },
    outcome: at === 29 ? Outcome.DENIED : Outcome.SUCCEEDED,
    occurTime: { seconds: 1_795_000_000n + BigInt(at) },
    reason: `because of ${at}`,
    requestId: `r-${at}`,
    resource: {
      type: at % 2 ? 'alias' : 'version',
      id: `id-${at}`,
      namespace,
      name: `${namespace}/scorer:${at}`,
      digest: `sha256:${String(at).padStart(64, '0')}`,
    },
  })
})
beforeAll(() => ingest.appendEvents({ events: EVENTS }))

audit.known.set('mk_fraud', { principal: 'f', roles: { fraud: Role.READER } })
audit.known.set('mk_both', { principal: 'b', roles: { fraud: Role.ADMIN, vision: Role.CONTRIBUTOR } })
audit.known.set('mk_nothing', { principal: 'n', roles: {} })
const fraud = audit.client(LogService, 'mk_fraud')
const both = audit.client(LogService, 'mk_both')

const numbers = (entries: LogEntry[]) => entries.map(({ index }) => Number(index))
const ask = async (request: Parameters<typeof log.listEntries>[0]) => numbers((await log.listEntries(request)).entries)
const every = (step: number, from = 0) => Array.from({ length: 30 }, (_, at) => at).filter((at) => at % step === from)

test('lists entries in either order', async () => {
  expect(await ask({})).toEqual(every(1).toReversed())
  expect(await ask({ orderBy: 'index desc', pageSize: 3 })).toEqual([29, 28, 27])
  expect(await ask({ orderBy: 'index', pageSize: 3 })).toEqual([0, 1, 2])
  expect(await refusalOf(log.listEntries({ orderBy: 'type' }))).toMatchObject({ metadata: { field: 'order_by' } })
})

test.each([
  ['index', '', log, every(1)],
  ['index desc', '', log, every(1).toReversed()],
  ['index', '', both, every(1).filter((at) => at % 3 !== 2)],
  [
    'index desc',
    'actor = alice',
    both,
    every(1)
      .filter((at) => at % 3 !== 2 && at < 20)
      .toReversed(),
  ],
  ['index desc', 'type = alias.moved.v1', fraud, every(6, 3).toReversed()],
])('pages through all entries: %s, filter "%s"', async (orderBy, filter, client, expected) => {
  const seen: number[] = []
  for (let pageToken = ''; ;) {
    const page = await client.listEntries({ orderBy, filter, pageSize: 4, pageToken })
    expect(page.logSize).toBe(30n)
    expect(page.entries.length).toBeLessThanOrEqual(4)
    seen.push(...numbers(page.entries))
    if (!(pageToken = page.nextPageToken)) break
  }
  expect(seen).toEqual(expected)
})

test('rejects a page token of another request', async () => {
  const { nextPageToken: pageToken } = await log.listEntries({ pageSize: 4, filter: 'actor = alice' })
  const bad = { reason: 'FIELD_INVALID', metadata: { field: 'page_token' } }
  expect(await refusalOf(log.listEntries({ pageToken, filter: 'actor = bob' }))).toMatchObject(bad)
  expect(await refusalOf(log.listEntries({ pageToken, filter: 'actor = alice', orderBy: 'index' }))).toMatchObject(bad)
  expect(await refusalOf(log.listEntries({ pageToken: 'x' }))).toMatchObject(bad)
  expect(await refusalOf(log.listEntries({ pageSize: -1 }))).toMatchObject({ metadata: { field: 'page_size' } })
})

test.each<[string, number[]]>([
  ['index >= 27', [27, 28, 29]],
  ['index < 2 OR index = 9', [0, 1, 9]],
  ['type:alias AND index < 5', [1, 3]],
  ['type != "alias.moved.v1" AND index < 5', [0, 2, 4]],
  ['actor = bob AND NOT index > 21', [20, 21]],
  ['outcome = DENIED', [29]],
  ['outcome = denied', [29]],
  ['reason:"OF 17"', [17]],
  ['request_id = r-4', [4]],
  ['occur_time >= 2026-11-18T11:07:08.5Z', [29]],
  ['record_time < 2020-01-01T00:00:00Z', []],
  ['namespace = vision AND index < 10', [1, 4, 7]],
  ['namespace = ""  AND index < 10', [2, 5, 8]],
  ['resource.type = alias AND index <= 3', [1, 3]],
  ['resource.id = id-7', [7]],
  ['resource.name = "fraud/scorer:3"', [3]],
  ['resource.name:"SCORER:2" AND namespace = vision', [22, 25, 28]],
  ['resource.name >= "fraud/scorer:" AND resource.name < "fraud/scorer;" AND index < 4', [0, 3]],
  [`resource.digest = "sha256:${'0'.repeat(63)}6"`, [6]],
  ['producer = artifact', []],
])('filters by %s', async (filter, expected) => {
  expect(await ask({ filter, orderBy: 'index' })).toEqual(expected)
})

test.each([
  'colour = red',
  'actor:ali',
  'actor',
  'index = x',
  'index:1',
  'index.x = 1',
  'outcome = MAYBE',
  'occur_time > soon',
  'leaf = x',
  'actor = "a" )',
])('rejects the filter %s', async (filter) => {
  const bad = { code: 'InvalidArgument', reason: 'FIELD_INVALID', metadata: { field: 'filter' } }
  expect(await refusalOf(log.listEntries({ filter }))).toMatchObject(bad)
})

test('rejects a filter over the size limit', async () => {
  const filter = `actor = "${'x'.repeat(2048)}"`
  expect(await refusalOf(log.listEntries({ filter }))).toMatchObject({ reason: 'LIMIT_EXCEEDED' })
})

test('lists only entries of readable namespaces; entries without a namespace only for readers of all', async () => {
  const read = async (client: typeof log, filter = '') =>
    numbers((await client.listEntries({ filter, orderBy: 'index', pageSize: 6 })).entries)
  expect(await read(fraud)).toEqual([0, 3, 6, 9, 12, 15])
  expect(await read(both)).toEqual([0, 1, 3, 4, 6, 7])
  expect(await read(log)).toEqual([0, 1, 2, 3, 4, 5])
  expect(await read(fraud, 'namespace = vision OR index < 3')).toEqual([0])
  expect(await read(fraud, 'namespace = ""')).toEqual([])
  const nothing = audit.client(LogService, 'mk_nothing')
  expect(await refusalOf(nothing.listEntries({}))).toMatchObject({ code: 'PermissionDenied' })
  expect(await refusalOf(audit.client(LogService, 'mk_unknown').listEntries({}))).toMatchObject({
    code: 'Unauthenticated',
    reason: 'TOKEN_INVALID',
  })
})

test('returns an entry by index or id, and the same error for a hidden entry as for a missing one', async () => {
  const byIndex = await fraud.getEntry({ entry: { case: 'index', value: 3n } })
  const byId = await fraud.getEntry({ entry: { case: 'eventId', value: EVENTS[3]!.id.toUpperCase() } })
  expect(byIndex).toEqual(byId)
  const added = { commitments: { reason: expect.any(String) }, retentionClass: RetentionClass.GOVERNANCE }
  expect(byIndex.entry!.event).toEqual({ ...EVENTS[3], ...added })
  const none = await refusalOf(log.getEntry({ entry: { case: 'index', value: 10_000n } }))
  expect(none).toMatchObject({ code: 'NotFound', reason: 'EVENT_NOT_FOUND' })
  expect(await refusalOf(fraud.getEntry({ entry: { case: 'index', value: 1n } }))).toEqual(none)
  expect(await refusalOf(fraud.getEntry({ entry: { case: 'eventId', value: EVENTS[2]!.id } }))).toEqual(none)
  const field = async (entry: Parameters<typeof log.getEntry>[0]['entry']) =>
    (await refusalOf(log.getEntry(entry ? { entry } : {}))).fields
  expect(await field(undefined)).toEqual(['entry'])
  expect(await field({ case: 'index', value: -1n })).toEqual(['index'])
  expect(await field({ case: 'index', value: 2n ** 60n })).toEqual(['index'])
  expect(await field({ case: 'eventId', value: 'x' })).toEqual(['event_id'])
})

test('cuts pages of large entries to the message size, without losing entries', async () => {
  const size = 40
  const before = Number((await log.listEntries({ pageSize: 1 })).logSize)
  for (let at = 0; at < size; at += 20) {
    const events = Array.from({ length: 20 }, (_, more) =>
      makeEvent(31 + at + more, { type: 'large.one.v1', details: { text: 'x'.repeat(59_000) } }),
    )
    await ingest.appendEvents({ events })
  }
  const seen: number[] = []
  let pages = 0
  for (let pageToken = ''; ; pages += 1) {
    const page = await log.listEntries({ filter: 'type = large.one.v1', pageSize: 1000, orderBy: 'index', pageToken })
    seen.push(...numbers(page.entries))
    if (!(pageToken = page.nextPageToken)) break
  }
  expect(seen).toEqual(Array.from({ length: size }, (_, at) => before + at))
  expect(pages).toBe(1)
})
