// The filter of ListVersions, on every field.
import { beforeAll, expect, test } from 'vitest'
import { listNumbers, makeListedVersions, type ListRequest } from '../../support/listed-versions.ts'
import { byName, startMetadata } from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata
const numbersOf = (request: ListRequest) => listNumbers(admin, request)

beforeAll(() => makeListedVersions(admin))

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
])('finds versions by %s', async (filter, expected) => {
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
])('rejects the filter %j', async (filter, message) => {
  const refused = await refusalOf(admin.versions.listVersions({ model: byName('listed'), filter }))
  expect(refused).toMatchObject({ code: 'InvalidArgument', fields: ['filter'] })
  expect(refused.message).toContain(message)
})

test('treats hostile text in a filter as a value', async () => {
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
