// Hostile filters, orders and page tokens, on every list of the real services.
import type { DescMethod } from '@bufbuild/protobuf'
import { ConnectError } from '@connectrpc/connect'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AliasService } from '../../gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { Role } from '../../gen/modelkeep/metadata/v1/identity_pb.ts'
import { Verdict } from '../../gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { EvaluationService } from '../../gen/modelkeep/metadata/v1/evaluation_service_pb.ts'
import { GateService } from '../../gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { IdentityService } from '../../gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { ModelService } from '../../gen/modelkeep/metadata/v1/model_service_pb.ts'
import { NamespaceService } from '../../gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { ManifestService } from '../../gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { BlobService } from '../../gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { PromotionService } from '../../gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { VersionService } from '../../gen/modelkeep/metadata/v1/version_service_pb.ts'
import { createHash } from 'node:crypto'
import { startAllServices, type AllServices } from '../support/all-services.ts'
import { METHODS } from '../support/every-service.ts'
import { refusalOf } from '../support/refusal.ts'

let all: AllServices
let gateId: string
const model = { ref: { case: 'name' as const, value: { model: 'scorer' } } }
const selector = { case: 'number' as const, value: 1 }
const version = { ref: { case: 'name' as const, value: { model: 'scorer', selector } } }

beforeAll(async () => {
  all = await startAllServices()
  const identity = all.client(IdentityService, 'mk_admin')
  for (const name of ['one', 'two', 'three']) {
    await all.client(NamespaceService, 'mk_admin').createNamespace({ name })
    await identity.grantRole({ principal: name, role: Role.READER })
    await identity.createToken({ principal: 'same', expireTime: timestampFromMs(Date.now() + 3_600_000) })
    await all.client(ModelService, 'mk_admin').createModel({ name: `model ${name}`, labels: { team: name } })
  }
  await all.client(ModelService, 'mk_admin').createModel({ name: 'scorer' })
  for (const number of [1, 2, 3]) {
    const manifestDigest = await makeManifest()
    const facts = { metrics: [{ name: 'f1', value: number / 10 }], parameters: [] }
    await all.client(VersionService, 'mk_admin').createVersion({ model, manifestDigest, facts })
    const targets = [{ name: `alias-${number}`, target: { case: 'number' as const, value: number } }]
    await all.client(AliasService, 'mk_admin').setAliases({ model, targets })
    const first = { ref: { case: 'name' as const, value: { model: 'scorer', number: 1 } } }
    const measured = { suite: 'smoke', verdict: Verdict.PASSED }
    await all.client(EvaluationService, 'mk_admin').createEvaluation({ version: first, facts: measured })
  }
  await makeGoverned()
})
afterAll(() => all.close())

/** Creates gates, revisions of one of them, and pending promotions. */
async function makeGoverned(): Promise<void> {
  const gates = all.client(GateService, 'mk_admin')
  const rules = { aliasPattern: 'guarded-*', approvalsRequired: 1 }
  for (const name of ['a', 'b', 'c']) gateId = (await gates.createGate({ name, rules })).gate!.id
  for (const _ of [1, 2]) await gates.updateGate({ name: 'c', rules })
  for (const number of [1, 2, 3]) {
    const first = { ref: { case: 'name' as const, value: { model: 'scorer', number } } }
    const asked = { version: first, alias: `guarded-${number}`, reason: 'better' }
    await all.client(PromotionService, 'mk_admin').requestPromotion(asked)
  }
}

async function makeManifest(): Promise<string> {
  const bytes = randomBytes(10)
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  async function* upload() {
    yield { message: { case: 'header' as const, value: { digest, sizeBytes: 10n } } }
    yield { message: { case: 'chunk' as const, value: bytes } }
  }
  await all.client(BlobService, 'mk_admin').uploadBlob(upload())
  const files = [{ path: 'a', digest, sizeBytes: 10n }]
  return (await all.client(ManifestService, 'mk_admin').createManifest({ files })).manifest!.digest
}

const hasField = (method: DescMethod, name: string) => method.input.fields.some((field) => field.name === name)
const lists = METHODS.filter((method) => hasField(method, 'page_token')).map((method): [string, DescMethod] => [
  `${method.parent.name}/${method.name}`,
  method,
])

type Answer = { nextPageToken: string }

async function ask(method: DescMethod, request: object): Promise<Answer> {
  const client = all.client(method.parent, 'mk_admin') as unknown as Record<string, (r: object) => Promise<Answer>>
  const base = {
    ...(hasField(method, 'model') && { model }),
    ...(hasField(method, 'version') && { version }),
    ...(hasField(method, 'gate_id') && { gateId }),
  }
  return client[method.localName]!({ ...base, ...request })
}

/** The fields that the error names, or `answered`. Any other error fails the test. */
async function outcome(method: DescMethod, request: object): Promise<string> {
  const refusal = await ask(method, request).then(
    () => undefined,
    (error: unknown) => refusalOf(Promise.reject(ConnectError.from(error))),
  )
  if (refusal) expect(refusal, JSON.stringify(request)).toMatchObject({ code: 'InvalidArgument' })
  return refusal?.fields.join() ?? 'answered'
}

const TEXTS = `'' or 1=1 --|%|infinity|-infinity|now|2026-02-30 00:00:00+00|0|null|9999999-01-01 00:00:00+00|NaN|1e999|
  2026-01-01 00:00:00.1234567+00`.split('|')
const NUMBERS = [-1, 0, 1.5, 1e300, -1e300, 2 ** 53, 2 ** 32, 2 ** 31, -(2 ** 63)]
const FORGED: unknown[] = TEXTS.concat('', '\0', '\ud800', 'x'.repeat(10_000)).concat(
  NUMBERS as never[],
  [null, true, {}] as never[],
)

test.each(lists)(
  '%s: rejects page tokens that no response contained',
  async (_name, method) => {
    for (const orderBy of hasField(method, 'order_by') ? ['', ...(await ordersOf(method))] : ['']) {
      const question = orderBy === '' ? {} : { orderBy }
      const { nextPageToken } = await ask(method, { ...question, pageSize: 1 })
      expect(nextPageToken, `${method.name} has a second page`).not.toBe('')
      const [query, ...keys] = JSON.parse(Buffer.from(nextPageToken, 'base64url').toString()) as unknown[]
      const forge = (content: unknown) => Buffer.from(JSON.stringify(content)).toString('base64url')
      for (const [place] of keys.entries()) {
        for (const value of FORGED) {
          const forged = forge([query, ...keys.with(place, value)])
          expect(['page_token', 'answered']).toContain(await outcome(method, { ...question, pageToken: forged }))
        }
      }
      for (const content of [[query], [query, ...keys, 1], ['x', ...keys], {}, 'x', null]) {
        expect(await outcome(method, { ...question, pageToken: forge(content) })).toBe('page_token')
      }
      for (const text of ['x', '====', '\0', 'x'.repeat(100_000)]) {
        expect(await outcome(method, { ...question, pageToken: text })).toBe('page_token')
      }
    }
  },
  120_000,
)

const ORDERS = ['name', 'name desc', 'create_time', 'create_time desc', 'update_time desc', 'number', 'number desc']
const MORE_ORDERS = ['metrics.f1', 'metrics.f1 desc', 'index', 'index desc']

/** The orders that the list supports. */
async function ordersOf(method: DescMethod): Promise<string[]> {
  const known: string[] = []
  for (const orderBy of [...ORDERS, ...MORE_ORDERS]) {
    if ((await outcome(method, { orderBy })) === 'answered') known.push(orderBy)
  }
  expect(known.length).toBeGreaterThan(1)
  return known
}

const ordered = lists.filter(([, method]) => hasField(method, 'order_by'))
test.each(ordered)('%s: rejects invalid orders', async (_name, method) => {
  for (const orderBy of [
    'x',
    'name; drop table model',
    'name,',
    'name ASC DESC',
    '\0',
    'metrics.',
    '1',
    'x'.repeat(9999),
  ]) {
    expect(await outcome(method, { orderBy })).toBe('order_by')
  }
})

const VALUES = [
  'x',
  '""',
  '"\'"',
  '-1',
  '1e400',
  '"%"',
  '2026-02-30',
  '2026-01-01T00:00:00Z',
  '99999999999999999999',
  '*',
]
const OPERATORS = ['=', '!=', '<', '<=', '>', '>=', ':']

const filtered = lists.filter(([, method]) => hasField(method, 'filter'))
test.each(filtered)(
  '%s: accepts or rejects every field with every operator and unusual values',
  async (_name, method) => {
    const refused = await refusalOf(ask(method, { filter: 'nothing = 1' }))
    const fields = /use one of (.*)$/.exec(refused.message)?.[1]?.split(', ') ?? []
    expect(fields.length).toBeGreaterThan(2)
    const below = fields.flatMap((name) => [`${name}.x`, `${name}."'"`])
    const answers: string[] = []
    for (const field of [...fields, ...below]) {
      const operators = below.includes(field) ? ['=', ':'] : OPERATORS
      // Each operator is tested with a third of the values, and each value with some operators.
      const filters = operators.flatMap((operator, index) =>
        VALUES.filter((_, place) => (place + index) % 3 === 0).map((value) => `${field} ${operator} ${value}`),
      )
      answers.push(...(await Promise.all(filters.map((filter) => outcome(method, { filter })))))
    }
    const answered = answers.filter((answer) => answer === 'answered').length
    expect(answered).toBeGreaterThan(fields.length)
  },
  120_000,
)

test.each(lists)('%s: rejects a negative page size, and accepts the largest', async (_name, method) => {
  expect(await outcome(method, { pageSize: -1 })).toBe('page_size')
  expect(await outcome(method, { pageSize: 2_147_483_647 })).toBe('answered')
})
