// ListVersions: orders, pages, page tokens, namespaces.
import { beforeAll, expect, test } from 'vitest'
import { jsonValue } from '../../support/facts.ts'
import { listNumbers, makeListedVersions, type ListRequest } from '../../support/listed-versions.ts'
import { byId, byName, makeModel, newDigest, newName, startMetadata } from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata
const numbersOf = (request: ListRequest) => listNumbers(admin, request)

beforeAll(() => makeListedVersions(admin))

test.each([
  ['', [5, 4, 3, 2, 1]],
  ['number', [1, 2, 3, 4, 5]],
  ['number desc', [5, 4, 3, 2, 1]],
  ['create_time', [1, 2, 3, 4, 5]],
  ['create_time desc', [5, 4, 3, 2, 1]],
  ['metrics.val loss.1', [5, 4, 2, 1]],
  ['metrics.none', []],
])('lists in the order %j, in pages of any size', async (orderBy, expected) => {
  for (const pageSize of [1, 2, 3, 0]) {
    expect(await numbersOf({ model: byName('listed'), orderBy, pageSize })).toEqual(expected)
  }
})

test('orders by the first value of a metric, and breaks ties by id', async () => {
  const ascending = await numbersOf({ model: byName('listed'), orderBy: 'metrics.f1', pageSize: 1 })
  expect(ascending.slice(0, 2)).toEqual([1, 4])
  expect(ascending.slice(2).sort((a, b) => a - b)).toEqual([2, 5])
  const descending = await numbersOf({ model: byName('listed'), orderBy: 'metrics.f1 desc', pageSize: 1 })
  expect(descending).toEqual(ascending.toReversed())
})

test('rejects a page token of another query, and a forged one', async () => {
  const question = { model: byName('listed'), pageSize: 1 }
  const { nextPageToken } = await admin.versions.listVersions(question)
  const other = newName()
  await makeModel(admin, other, 2)
  for (const changed of [
    { filter: 'number > 0' },
    { orderBy: 'number' },
    { orderBy: 'create_time' },
    { model: byName(other) },
    { pageToken: `${nextPageToken}x` },
    { pageToken: forge(nextPageToken, ['not a number', '0191d3a0-0000-7000-8000-000000000000']) },
    { pageToken: forge(nextPageToken, [1.5, '0191d3a0-0000-7000-8000-000000000000']) },
    { pageToken: forge(nextPageToken, [1e300, '0191d3a0-0000-7000-8000-000000000000']) },
    { pageToken: forge(nextPageToken, [1, "'; drop table version; --"]) },
  ] as ListRequest[]) {
    const refused = await refusalOf(
      admin.versions.listVersions({ pageToken: nextPageToken, ...question, ...changed } as ListRequest),
    )
    expect(refused).toMatchObject({ code: 'InvalidArgument', fields: ['page_token'] })
  }
  const elsewhere = { pageSize: 1, pageToken: nextPageToken }
  expect(await refusalOf(admin.versions.listVersions(elsewhere))).toMatchObject({ fields: ['page_token'] })
  const byTime = await admin.versions.listVersions({ ...question, orderBy: 'create_time' })
  for (const time of ['2026-02-30 00:00:00+00', 'now', "infinity'", '2026-11-23 00:00:00+99', '']) {
    const pageToken = forge(byTime.nextPageToken, [time, '0191d3a0-0000-7000-8000-000000000000'])
    const refused = await refusalOf(admin.versions.listVersions({ ...question, orderBy: 'create_time', pageToken }))
    expect(refused).toMatchObject({ fields: ['page_token'] })
  }
})

function forge(token: string, keys: unknown[]): string {
  const [query] = JSON.parse(Buffer.from(token, 'base64url').toString()) as unknown[]
  return Buffer.from(JSON.stringify([query, ...keys])).toString('base64url')
}

test('rejects an unknown order, and the order by number without a model', async () => {
  for (const request of [
    { orderBy: 'number' },
    { model: byName('listed'), orderBy: 'size_bytes' },
    { model: byName('listed'), orderBy: 'metrics.' },
    { model: byName('listed'), orderBy: 'number down' },
  ]) {
    expect(await refusalOf(admin.versions.listVersions(request))).toMatchObject({ fields: ['order_by'] })
  }
})

test('lists versions of all readable models, newest first, where no model is given', async () => {
  await admin.namespaces.createNamespace({ name: 'apart' })
  await makeModel(admin, 'there', 2, 'apart')
  const all = await admin.versions.listVersions({ pageSize: 3 })
  expect(all.versions.slice(0, 2).map(({ namespace, number }) => [namespace, number])).toEqual([
    ['apart', 2],
    ['apart', 1],
  ])
  const member = await metadata.member({ apart: 'READER' })
  const seen = await member.versions.listVersions({})
  expect(seen.versions.map(({ number }) => number)).toEqual([2, 1])
  expect((await member.versions.listVersions({ orderBy: 'metrics.f1' })).versions).toEqual([])
  const both = await metadata.member({ apart: 'READER', default: 'CONTRIBUTOR' })
  expect((await both.versions.listVersions({ orderBy: 'metrics.f1', pageSize: 2 })).versions).toHaveLength(2)
  expect((await both.versions.listVersions({ pageSize: 1000 })).versions.length).toBeGreaterThan(6)
})

test('lists by the id of a model too, and reports a missing model', async () => {
  const { model } = await admin.models.getModel({ model: byName('listed') })
  expect(await numbersOf({ model: byId(model!.id) })).toEqual([5, 4, 3, 2, 1])
  expect(await refusalOf(admin.versions.listVersions({ model: byName('absent') }))).toMatchObject({
    reason: 'MODEL_NOT_FOUND',
  })
})

test('limits a page of large versions to the message limit, and omits none', async () => {
  const name = newName()
  await makeModel(admin, name)
  const parameters = Array.from({ length: 100 }, (_, index) => ({
    name: `p${index}`,
    value: jsonValue('x'.repeat(8000)),
  }))
  for (let number = 1; number <= 6; number += 1) {
    await admin.versions.createVersion({ model: byName(name), manifestDigest: newDigest(), facts: { parameters } })
  }
  const page = await admin.versions.listVersions({ model: byName(name), pageSize: 1000 })
  expect(page.versions.map(({ number }) => number)).toEqual([6, 5, 4])
  for (const orderBy of ['', 'create_time']) {
    const numbers = await numbersOf({ model: byName(name), pageSize: 1000, orderBy })
    expect(numbers.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6])
  }
})
