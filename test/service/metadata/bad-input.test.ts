// Bad input on every RPC of the registry: the error names field and rule, and nothing is written.
import { create } from '@bufbuild/protobuf'
import { ValueSchema } from '@bufbuild/protobuf/wkt'
import { beforeAll, expect, test } from 'vitest'
import {
  byId,
  byName,
  makeModel,
  newDigest,
  numbered,
  pointTo,
  selected,
  startMetadata,
  type Clients,
} from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata

beforeAll(() => makeModel(admin, 'm', 2))

const TABLES = [
  'namespace',
  'model',
  'model_redirect',
  'version',
  'version_metric',
  'version_parent',
  'alias',
  'alias_move',
]
const OTHERS = ['tombstone', 'manifest_release', 'outbox', 'answered_request']

/** A digest of every table, without the events of failed attempts. */
async function contents(): Promise<object[]> {
  const texts = [...TABLES, ...OTHERS].map(
    (table) => `select '${table}' as table, md5(string_agg(t::text, '|' order by t::text)) from metadata.${table} t
      where to_jsonb(t) #>> '{event,type}' is distinct from 'attempt.failed.v1'`,
  )
  return metadata.sql(texts.join(' union all '))
}

const long = (length: number) => 'x'.repeat(length)
const model = byName('m')
const version = numbered('m', 1)
const manifestDigest = newDigest()
const infinity = create(ValueSchema, { kind: { case: 'numberValue', value: Number.NaN } })
const target = pointTo('a', 1)
const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, '']))

type Call = (clients: Clients) => Promise<unknown>

const NAMESPACES: [string, Call][] = [
  ['name', ({ namespaces }) => namespaces.createNamespace({})],
  ['name', ({ namespaces }) => namespaces.createNamespace({ name: 'Not Good' })],
  ['name', ({ namespaces }) => namespaces.createNamespace({ name: '../etc' })],
  ['name', ({ namespaces }) => namespaces.createNamespace({ name: long(64) })],
  ['description', ({ namespaces }) => namespaces.createNamespace({ name: 'n', description: long(65_537) })],
  ['description', ({ namespaces }) => namespaces.createNamespace({ name: 'n', description: 'a\0' })],
  ['request_id', ({ namespaces }) => namespaces.createNamespace({ name: 'n', requestId: 'x' })],
  ['name', ({ namespaces }) => namespaces.getNamespace({ name: '*' })],
  ['name', ({ namespaces }) => namespaces.updateNamespace({ name: 'a b' })],
  ['description', ({ namespaces }) => namespaces.updateNamespace({ description: long(65_537) })],
  ['name', ({ namespaces }) => namespaces.deleteNamespace({})],
  ['name', ({ namespaces }) => namespaces.deleteNamespace({ name: 'default' })],
  ['reason', ({ namespaces }) => namespaces.deleteNamespace({ name: 'n', reason: long(2049) })],
  ['page_size', ({ namespaces }) => namespaces.listNamespaces({ pageSize: -1 })],
  ['page_token', ({ namespaces }) => namespaces.listNamespaces({ pageToken: 'forged' })],
]

const MODELS: [string, Call][] = [
  ['name', ({ models }) => models.createModel({})],
  ['name', ({ models }) => models.createModel({ name: '../../m' })],
  ['name', ({ models }) => models.createModel({ name: long(129) })],
  ['name', ({ models }) => models.createModel({ name: 'a\u202Eb' })],
  ['namespace', ({ models }) => models.createModel({ name: 'n', namespace: '*' })],
  ['description', ({ models }) => models.createModel({ name: 'n', description: long(65_537) })],
  ['owner', ({ models }) => models.createModel({ name: 'n', owner: long(256) })],
  ['owner', ({ models }) => models.createModel({ name: 'n', owner: 'a\nb' })],
  ['labels', ({ models }) => models.createModel({ name: 'n', labels: many(65) })],
  ['labels', ({ models }) => models.createModel({ name: 'n', labels: { [long(64)]: '' } })],
  ['labels["k"]', ({ models }) => models.createModel({ name: 'n', labels: { k: long(256) } })],
  ['request_id', ({ models }) => models.createModel({ name: 'n', requestId: long(36) })],
  ['model', ({ models }) => models.getModel({})],
  ['model', ({ models }) => models.getModel({ model: {} })],
  ['model.id', ({ models }) => models.getModel({ model: byId("' or true --") })],
  ['model.name.model', ({ models }) => models.getModel({ model: byName('a/b') })],
  ['model.name.namespace', ({ models }) => models.getModel({ model: byName('m', 'A') })],
  ['filter', ({ models }) => models.listModels({ filter: 'nothing' })],
  ['filter', ({ models }) => models.listModels({ filter: long(2049) })],
  ['order_by', ({ models }) => models.listModels({ orderBy: 'owner' })],
  ['page_size', ({ models }) => models.listModels({ pageSize: -5 })],
  ['page_token', ({ models }) => models.listModels({ pageToken: 'W10' })],
  ['namespace', ({ models }) => models.listModels({ namespace: 'A' })],
  ['model', ({ models }) => models.updateModel({ updateMask: { paths: ['owner'] } })],
  ['update_mask', ({ models }) => models.updateModel({ model })],
  ['update_mask', ({ models }) => models.updateModel({ model, updateMask: { paths: ['name'] } })],
  ['owner', ({ models }) => models.updateModel({ model, updateMask: { paths: ['owner'] }, owner: long(256) })],
  ['labels', ({ models }) => models.updateModel({ model, updateMask: { paths: ['labels'] }, labels: many(65) })],
  ['new_name', ({ models }) => models.renameModel({ model })],
  ['new_name', ({ models }) => models.renameModel({ model, newName: ' m' })],
  ['reason', ({ models }) => models.renameModel({ model, newName: 'n', reason: long(2049) })],
  ['model', ({ models }) => models.archiveModel({})],
  ['reason', ({ models }) => models.archiveModel({ model, reason: '\0' })],
  ['request_id', ({ models }) => models.archiveModel({ model, requestId: '1' })],
  ['model', ({ models }) => models.unarchiveModel({})],
  ['reason', ({ models }) => models.unarchiveModel({ model, reason: long(2049) })],
  ['model.id', ({ models }) => models.deleteModel({ model: byId('') })],
  ['reason', ({ models }) => models.deleteModel({ model, reason: long(2049) })],
]

const VERSIONS: [string, Call][] = [
  ['model', ({ versions }) => versions.createVersion({ manifestDigest })],
  ['manifest_digest', ({ versions }) => versions.createVersion({ model })],
  [
    'manifest_digest',
    ({ versions }) => versions.createVersion({ model, manifestDigest: manifestDigest.toUpperCase() }),
  ],
  ['semver', ({ versions }) => versions.createVersion({ model, manifestDigest, semver: 'v1' })],
  ['semver', ({ versions }) => versions.createVersion({ model, manifestDigest, semver: `1.0.0-${long(250)}` })],
  ['description', ({ versions }) => versions.createVersion({ model, manifestDigest, description: long(65_537) })],
  ['model_card', ({ versions }) => versions.createVersion({ model, manifestDigest, modelCard: long(65_537) })],
  ['labels', ({ versions }) => versions.createVersion({ model, manifestDigest, labels: many(65) })],
  [
    'facts.parameters[0].value',
    ({ versions }) =>
      versions.createVersion({ model, manifestDigest, facts: { parameters: [{ name: 'p', value: infinity }] } }),
  ],
  [
    'facts.metrics[1].name',
    ({ versions }) => versions.createVersion({ model, manifestDigest, facts: { metrics: [{ name: 'a' }, {}] } }),
  ],
  ['request_id', ({ versions }) => versions.createVersion({ model, manifestDigest, requestId: 'x' })],
  ['ref', ({ versions }) => versions.resolveVersion({})],
  ['ref.name', ({ versions }) => versions.resolveVersion({ ref: { ref: { case: 'name', value: { model: 'm' } } } })],
  ['ref.name.number', ({ versions }) => versions.resolveVersion({ ref: selected('m', { case: 'number', value: 0 }) })],
  ['ref.name.alias', ({ versions }) => versions.resolveVersion({ ref: selected('m', { case: 'alias', value: '7' }) })],
  [
    'ref.name.semver',
    ({ versions }) => versions.resolveVersion({ ref: selected('m', { case: 'semver', value: '1' }) }),
  ],
  [
    'ref.name.digest',
    ({ versions }) => versions.resolveVersion({ ref: selected('m', { case: 'digest', value: 'md5:1' }) }),
  ],
  ['page_size', ({ versions }) => versions.listVersions({ pageSize: -1 })],
  ['model', ({ versions }) => versions.listVersions({ model: {} })],
  ['version', ({ versions }) => versions.updateVersion({ updateMask: { paths: ['labels'] } })],
  ['version.name.number', ({ versions }) => versions.updateVersion({ version: numbered('m', -1) })],
  ['update_mask', ({ versions }) => versions.updateVersion({ version })],
  ['update_mask', ({ versions }) => versions.updateVersion({ version, updateMask: { paths: ['facts'] } })],
  [
    'model_card',
    ({ versions }) =>
      versions.updateVersion({ version, updateMask: { paths: ['model_card'] }, modelCard: long(65_537) }),
  ],
  ['version', ({ versions }) => versions.deleteVersion({})],
  ['version.id', ({ versions }) => versions.deleteVersion({ version: byId('latest') })],
  ['reason', ({ versions }) => versions.deleteVersion({ version, reason: long(2049) })],
]

const ALIASES: [string, Call][] = [
  ['model', ({ aliases }) => aliases.setAliases({ targets: [target] })],
  ['targets', ({ aliases }) => aliases.setAliases({ model })],
  ['targets', ({ aliases }) => aliases.setAliases({ model, targets: Array.from({ length: 101 }, () => target) })],
  ['targets[0].name', ({ aliases }) => aliases.setAliases({ model, targets: [{ ...target, name: 'latest' }] })],
  ['targets[0].name', ({ aliases }) => aliases.setAliases({ model, targets: [{ ...target, name: 'v7' }] })],
  ['targets[1].name', ({ aliases }) => aliases.setAliases({ model, targets: [target, target] })],
  ['targets[0]', ({ aliases }) => aliases.setAliases({ model, targets: [{ name: 'a' }] })],
  ['reason', ({ aliases }) => aliases.setAliases({ model, targets: [target], reason: long(2049) })],
  ['request_id', ({ aliases }) => aliases.setAliases({ model, targets: [target], requestId: 'x' })],
  ['name', ({ aliases }) => aliases.rollbackAlias({ model, expectedNumber: 1 })],
  ['expected_number', ({ aliases }) => aliases.rollbackAlias({ model, name: 'a' })],
  ['reason', ({ aliases }) => aliases.rollbackAlias({ model, name: 'a', expectedNumber: 1, reason: long(2049) })],
  ['model', ({ aliases }) => aliases.listAliases({})],
  ['page_token', ({ aliases }) => aliases.listAliases({ model, pageToken: '%' })],
  ['page_size', ({ aliases }) => aliases.listAliases({ model, pageSize: -1 })],
  ['name', ({ aliases }) => aliases.listAliasMoves({ model, name: 'a b' })],
  ['page_token', ({ aliases }) => aliases.listAliasMoves({ model, pageToken: 'x' })],
  ['page_size', ({ aliases }) => aliases.listAliasMoves({ model, pageSize: -1 })],
]

test.each([
  ['NamespaceService', NAMESPACES],
  ['ModelService', MODELS],
  ['VersionService', VERSIONS],
  ['AliasService', ALIASES],
])('%s reports the field and the rule, and writes nothing', async (_service, calls) => {
  const before = await contents()
  const retained = metadata.peers.calls.length
  for (const [field, call] of calls) {
    const refused = await refusalOf(call(admin))
    expect(refused).toMatchObject({ code: 'InvalidArgument', fields: [field], metadata: { field } })
    expect(refused.message.startsWith(`${field} `)).toBe(true)
  }
  expect(await contents()).toEqual(before)
  expect(metadata.peers.calls).toHaveLength(retained)
})

test('logs no internal error', () => {
  expect(metadata.logs.filter((line) => line.includes('"message":"internal error"'))).toEqual([])
})
