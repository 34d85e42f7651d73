import { fromJson, type JsonValue } from '@bufbuild/protobuf'
import { ValueSchema } from '@bufbuild/protobuf/wkt'
import { beforeAll, expect, test } from 'vitest'
import { byId, byName, makeModel, newDigest, newName, pointTo, startMetadata } from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata
const value = (json: JsonValue) => fromJson(ValueSchema, json)

type Request = Parameters<typeof admin.versions.listVersions>[0]

/** Through all pages. */
async function numbersOf(request: Request): Promise<number[]> {
  const numbers: number[] = []
  for (let pageToken = ''; ;) {
    const page = await admin.versions.listVersions({ ...request, pageToken })
    numbers.push(...page.versions.map(({ number }) => number))
    if (page.nextPageToken === '') return numbers
    pageToken = page.nextPageToken
  }
}

const F1 = [0.5, 0.9, undefined, 0.7, 0.9]

beforeAll(async () => {
  await makeModel(admin, 'listed')
  for (const [index, f1] of F1.entries()) {
    const number = index + 1
    await admin.versions.createVersion({
      model: byName('listed'),
      manifestDigest: newDigest(),
      semver: number === 2 ? '2.0.0' : '',
      labels: number % 2 === 0 ? { parity: 'even', 'app/tier': 'Gold' } : {},
      facts: {
        license: number === 1 ? 'MIT' : 'Apache-2.0',
        source: { repository: `https://git.example/${number}`, commit: `c${number}` },
        parameters: [
          { name: 'depth', value: value(number * 2) },
          { name: 'kind', value: value(number < 3 ? 'gbm' : 'net') },
          { name: 'warm', value: value(number === 1) },
          ...(number === 5 ? [{ name: 'depth.max', value: value('10') }] : []),
        ],
        metrics:
          f1 === undefined
            ? []
            : [
                { name: 'f1', value: f1, split: 'test' },
                { name: 'f1', value: 1 - f1, split: 'train' },
                { name: 'val loss.1', value: -number },
              ],
        datasets: [
          { name: 'base', digest: 'sha256:0' },
          { name: `set-${number}`, digest: `sha256:${number}` },
        ],
      },
    })
  }
  await admin.aliases.setAliases({ model: byName('listed'), targets: [pointTo('production', 4)] })
})

test.each([
  ['', [5, 4, 3, 2, 1]],
  ['number', [1, 2, 3, 4, 5]],
  ['number desc', [5, 4, 3, 2, 1]],
  ['create_time', [1, 2, 3, 4, 5]],
  ['create_time desc', [5, 4, 3, 2, 1]],
  ['metrics.val loss.1', [5, 4, 2, 1]],
  ['metrics.none', []],
])('in the order %j, in pages of any size', async (orderBy, expected) => {
  for (const pageSize of [1, 2, 3, 0]) {
    expect(await numbersOf({ model: byName('listed'), orderBy, pageSize })).toEqual(expected)
  }
})

test('by a metric, its first value of a version counts, and ties are broken by id', async () => {
  const ascending = await numbersOf({ model: byName('listed'), orderBy: 'metrics.f1', pageSize: 1 })
  expect(ascending.slice(0, 2)).toEqual([1, 4])
  expect(ascending.slice(2).sort((a, b) => a - b)).toEqual([2, 5])
  const descending = await numbersOf({ model: byName('listed'), orderBy: 'metrics.f1 desc', pageSize: 1 })
  expect(descending).toEqual(ascending.toReversed())
})

test.each([
  ['number >= 2 AND number < 4', [3, 2]],
  ['number = 1 OR number = 5', [5, 1]],
  ['NOT number = 1 -number = 2', [5, 4, 3]],
  ['semver = 2.0.0', [2]],
  ['semver = ""', [5, 4, 3, 1]],
  ['state = READY', [5, 4, 3, 2, 1]],
  ['state = ready AND creator = admin AND number = 3', [3]],
  ['create_time > 2020-01-01 AND update_time > 2020-01-01T00:00:00.5Z', [5, 4, 3, 2, 1]],
  ['create_time < 2020-01-01', []],
  ['size_bytes > 1000000 AND number = 1', [1]],
  ['license = MIT', [1]],
  ['license:apache', [5, 4, 3, 2]],
  ['alias = production', [4]],
  ['alias != production', [5, 3, 2, 1]],
  ['alias:PROD', [4]],
  ['NOT alias:*', [5, 3, 2, 1]],
  ['labels.parity = even', [4, 2]],
  ['labels:parity', [4, 2]],
  ['labels."app/tier" = Gold', [4, 2]],
  ['labels.app/tier:gold', [4, 2]],
  ['labels.parity != even', [5, 3, 1]],
  ['parameters.depth > 5', [5, 4, 3]],
  ['parameters.depth = 10', [5]],
  ['parameters.depth = "10"', [5]],
  ['parameters.depth.max = "10"', [5]],
  ['parameters.depth.max = 10', []],
  ['parameters.depth.max:*', [5]],
  ['parameters:depth', [5, 4, 3, 2, 1]],
  ['parameters.kind = gbm', [2, 1]],
  ['parameters.kind:GB', [2, 1]],
  ['parameters.warm = true', [1]],
  ['metrics.f1 > 0.8', [5, 2]],
  ['metrics.f1 < 0.2', [5, 2]],
  ['metrics.f1 != 0.5', [5, 4, 3, 2]],
  ['metrics:f1', [5, 4, 2, 1]],
  ['NOT metrics.f1:*', [3]],
  ['metrics."val loss.1" = -4', [4]],
  ['source.commit = c3', [3]],
  ['source.repository:GIT.example/2', [2]],
  ['datasets.name = set-3', [3]],
  ['datasets.name:base', [5, 4, 3, 2, 1]],
  ['datasets.digest = "sha256:5"', [5]],
  ['datasets.name != set-3', [5, 4, 2, 1]],
  ['(metrics.f1 > 0.6 OR license = MIT) AND NOT number = 5', [4, 2, 1]],
])('finds by %s', async (filter, expected) => {
  expect(await numbersOf({ model: byName('listed'), filter, pageSize: 2 })).toEqual(expected)
})

test.each([
  ['colour = red', 'has an unknown field'],
  ['number = many', 'a number is expected'],
  ['state = LOST', 'one of READY is expected'],
  ['state > READY', 'only = and !='],
  ['create_time > soon', 'where a time like'],
  ['create_time > 2026-02-30', 'where a time like'],
  ['create_time > 2026-13-01T00:00:00Z', 'where a time like'],
  ['metrics > 1', 'requires a name'],
  ['metrics.f1 = high', 'a number is expected'],
  ['metrics.f1:0.5', 'only as metrics.<name>:*'],
  ['semver > 1.0.0', 'supports only =, != and : on semver'],
  ['number.x = 1', 'unknown subfield'],
  ['number =', 'expects a value'],
  ['(number = 1', 'closing parenthesis'],
  ['number 1', 'one of = !='],
  ['number = 1; drop table version', 'expects one of'],
  ['labels.a = "\0"', 'without NUL'],
  [`number = ${'1'.repeat(2048)}`, 'must have at most 2048 bytes'],
])('refuses the filter %j', async (filter, message) => {
  const refused = await refusalOf(admin.versions.listVersions({ model: byName('listed'), filter }))
  expect(refused).toMatchObject({ code: 'InvalidArgument', fields: ['filter'] })
  expect(refused.message).toContain(message)
})

test('hostile values are values', async () => {
  for (const text of [`'; drop table metadata.version; --`, '$1', '%', '\\', '?', '{}', '")']) {
    const quoted = JSON.stringify(text)
    for (const filter of [
      `creator = ${quoted}`,
      `labels.${quoted} = ${quoted}`,
      `parameters.${quoted} = ${quoted}`,
      `metrics.${quoted} > 1`,
      `alias = ${quoted}`,
      `license:${quoted}`,
    ]) {
      expect(await numbersOf({ model: byName('listed'), filter })).toEqual([])
    }
    expect(await numbersOf({ model: byName('listed'), orderBy: `metrics.${text}` })).toEqual([])
  }
})

test('a page token belongs to its question', async () => {
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
  ] as Request[]) {
    const refused = await refusalOf(
      admin.versions.listVersions({ pageToken: nextPageToken, ...question, ...changed } as Request),
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

test('orders are known ones; number needs a model', async () => {
  for (const request of [
    { orderBy: 'number' },
    { model: byName('listed'), orderBy: 'size_bytes' },
    { model: byName('listed'), orderBy: 'metrics.' },
    { model: byName('listed'), orderBy: 'number down' },
  ]) {
    expect(await refusalOf(admin.versions.listVersions(request))).toMatchObject({ fields: ['order_by'] })
  }
})

test('without a model, versions of all that may be read come, the newest first', async () => {
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

test('a reference by id lists the same; an absent model is told', async () => {
  const { model } = await admin.models.getModel({ model: byName('listed') })
  expect(await numbersOf({ model: byId(model!.id) })).toEqual([5, 4, 3, 2, 1])
  expect(await refusalOf(admin.versions.listVersions({ model: byName('absent') }))).toMatchObject({
    reason: 'MODEL_NOT_FOUND',
  })
})

test('a page of large versions stays below the limit of a message, and none is lost', async () => {
  const name = newName()
  await makeModel(admin, name)
  const parameters = Array.from({ length: 100 }, (_, index) => ({ name: `p${index}`, value: value('x'.repeat(8000)) }))
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
