import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { randomUUID } from 'node:crypto'
import { expect, test, vi } from 'vitest'
import { ParentRelation } from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import {
  byId,
  byName,
  makeModel,
  newDigest,
  newName,
  numbered,
  pointTo,
  removalOf,
  selected,
  startMetadata,
} from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata

type Ref = Parameters<typeof admin.versions.resolveVersion>[0]['ref']
const resolve = async (ref: Ref) => (await admin.versions.resolveVersion({ ref })).version!

test('resolves every kind of reference to the version', async () => {
  const name = newName('Refs')
  await makeModel(admin, name, 2)
  const request = { model: byName(name), manifestDigest: newDigest(), semver: '2.0.0+build' }
  const { version } = await admin.versions.createVersion(request)
  await admin.versions.createVersion({ model: byName(name), manifestDigest: newDigest() })
  const targets = [pointTo('production', 3), pointTo('champion', 3)]
  await admin.aliases.setAliases({ model: byName(name), targets })
  const expected = { ...version!, aliases: ['champion', 'production'] }
  expect(await resolve(byId(version!.id.toUpperCase()))).toEqual(expected)
  for (const selector of [
    { case: 'number', value: 3 },
    { case: 'alias', value: 'production' },
    { case: 'semver', value: '2.0.0+build' },
    { case: 'digest', value: request.manifestDigest },
  ] as const) {
    expect(await resolve(selected(name.toUpperCase(), selector, 'default'))).toEqual(expected)
  }
  expect((await resolve(selected(name, { case: 'alias', value: 'latest' }))).number).toBe(4)
})

test('resolves latest to a lower number after the highest version is deleted', async () => {
  const name = newName()
  await makeModel(admin, name, 2)
  await admin.versions.deleteVersion({ version: numbered(name, 2) })
  expect((await resolve(selected(name, { case: 'alias', value: 'latest' }))).number).toBe(1)
})

test('distinguishes a missing model, version and alias', async () => {
  const name = newName()
  await makeModel(admin, name)
  const model = `default/${name}`
  for (const [ref, reason, details] of [
    [selected('none', { case: 'number', value: 1 }), 'MODEL_NOT_FOUND', { model: 'default/none' }],
    [selected(name, { case: 'number', value: 1 }), 'VERSION_NOT_FOUND', { version: `${model}:1` }],
    [selected(name, { case: 'semver', value: '1.0.0' }), 'VERSION_NOT_FOUND', { version: `${model}:1.0.0` }],
    [selected(name, { case: 'alias', value: 'latest' }), 'VERSION_NOT_FOUND', { version: `${model}@latest` }],
    [selected(name, { case: 'alias', value: 'production' }), 'ALIAS_NOT_FOUND', { alias: 'production' }],
  ] as const) {
    const refused = await refusalOf(admin.versions.resolveVersion({ ref }))
    expect(refused).toMatchObject({ code: 'NotFound', reason, metadata: details })
  }
  const id = randomUUID()
  expect(await refusalOf(admin.versions.resolveVersion({ ref: byId(id) }))).toMatchObject({
    reason: 'VERSION_NOT_FOUND',
    metadata: { version: id },
  })
})

test('resolves an alias at a past time', async () => {
  const name = newName()
  await makeModel(admin, name, 3)
  const move = async (value: number | undefined, expectedNumber: number) => {
    const target = value ? pointTo('production', value, expectedNumber) : removalOf('production', expectedNumber)
    const before = await databaseTime()
    await admin.aliases.setAliases({ model: byName(name), targets: [target] })
    return before
  }
  const times = [await move(1, 0), await move(3, 1), await move(undefined, 3), await move(2, 0), await databaseTime()]
  const at = (index: number) =>
    admin.versions.resolveVersion({
      ref: selected(name, { case: 'alias', value: 'production' }),
      atTime: times[index]!,
    })
  expect(await refusalOf(at(0))).toMatchObject({ reason: 'ALIAS_NOT_FOUND' })
  expect((await at(1)).version!.number).toBe(1)
  expect((await at(2)).version!.number).toBe(3)
  expect(await refusalOf(at(3))).toMatchObject({ reason: 'ALIAS_NOT_FOUND', metadata: { alias: 'production' } })
  expect((await at(4)).version).toMatchObject({ number: 2, aliases: ['production'] })
  await admin.versions.deleteVersion({ version: numbered(name, 1) })
  expect(await refusalOf(at(1))).toMatchObject({ reason: 'VERSION_NOT_FOUND' })
})

test('rejects a past time without an alias, and a time in the future', async () => {
  const name = newName()
  await makeModel(admin, name, 1)
  const atTime = timestampFromMs(Date.now() - 1000)
  for (const ref of [
    byId(randomUUID()),
    selected(name, { case: 'number', value: 1 }),
    selected(name, { case: 'alias', value: 'latest' }),
  ] as const) {
    expect(await refusalOf(admin.versions.resolveVersion({ ref, atTime }))).toMatchObject({ fields: ['at_time'] })
  }
  const ref = selected(name, { case: 'alias', value: 'production' })
  const future = timestampFromMs(Date.now() + 3_600_000)
  for (const time of [future, { seconds: 10n ** 12n }, { nanos: -1 }]) {
    expect(await refusalOf(admin.versions.resolveVersion({ ref, atTime: time }))).toMatchObject({ fields: ['at_time'] })
  }
})

test('updates the fields of the mask, and leaves the facts unchanged', async () => {
  const name = newName()
  await makeModel(admin, name)
  const facts = { license: 'MIT' }
  const request = { model: byName(name), manifestDigest: newDigest(), facts, description: 'd', labels: { a: '1' } }
  const { version: before } = await admin.versions.createVersion(request)
  const [event, ...none] = await metadata.eventsOf(async () => {
    const { version } = await admin.versions.updateVersion({
      version: numbered(name, 1),
      updateMask: { paths: ['model_card', 'labels'] },
      modelCard: '# Card',
      labels: { b: '2' },
      description: 'not named',
      etag: before!.etag,
    })
    expect(version).toMatchObject({ description: 'd', modelCard: '# Card', labels: { b: '2' }, etag: '2', facts })
    expect(await resolve(byId(before!.id))).toEqual(version)
  })
  expect(none).toEqual([])
  expect(event).toMatchObject({
    type: 'version.updated.v1',
    resource: { id: before!.id, name: `default/${name}:1` },
    details: { fields: ['labels', 'model_card'] },
  })
  expect(event!.beforeDigest).not.toBe(event!.afterDigest)
  const stale = { version: byId(before!.id), updateMask: { paths: ['description'] }, description: 'lost', etag: '1' }
  expect(await refusalOf(admin.versions.updateVersion(stale))).toMatchObject({
    reason: 'ETAG_MISMATCH',
    metadata: { etag: '2' },
  })
  const repeated = { ...stale, etag: '2', requestId: randomUUID() }
  const first = await admin.versions.updateVersion(repeated)
  expect(await metadata.replica.versions.updateVersion(repeated)).toEqual(first)
})

test('deletes a version, releases its manifest, and retains its event', async () => {
  const name = newName()
  await makeModel(admin, name, 2)
  const version = await resolve(selected(name, { case: 'number', value: 1 }))
  expect(await refusalOf(admin.versions.deleteVersion({ version: byId(version.id), etag: '9' }))).toMatchObject({
    reason: 'ETAG_MISMATCH',
  })
  const request = { version: numbered(name, 1), reason: 'wrong data', requestId: randomUUID() }
  const events = await metadata.eventsOf(() => admin.versions.deleteVersion(request))
  expect(events).toMatchObject([
    {
      type: 'version.deleted.v1',
      reason: 'wrong data',
      resource: { id: version.id, name: `default/${name}:1`, digest: version.digest },
      details: { number: 1 },
    },
  ])
  const gone = { code: 'NotFound', reason: 'VERSION_NOT_FOUND' }
  const mask = { updateMask: { paths: ['description'] } }
  expect(await refusalOf(resolve(byId(version.id)))).toMatchObject(gone)
  expect(await refusalOf(admin.versions.deleteVersion({ version: byId(version.id) }))).toMatchObject(gone)
  expect(await refusalOf(admin.versions.updateVersion({ version: numbered(name, 1), ...mask }))).toMatchObject(gone)
  expect(await admin.versions.deleteVersion(request)).toBeDefined()
  await vi.waitFor(() => expect(metadata.peers.retained.has(version.id)).toBe(false))
})

test('rejects the deletion of a version with an alias or a child', async () => {
  const name = newName()
  await makeModel(admin, name, 1)
  const { id } = await resolve(selected(name, { case: 'number', value: 1 }))
  await admin.aliases.setAliases({ model: byName(name), targets: [pointTo('b', 1), pointTo('a', 1)] })
  expect(await refusalOf(admin.versions.deleteVersion({ version: byId(id) }))).toMatchObject({
    code: 'FailedPrecondition',
    reason: 'VERSION_IN_USE',
    metadata: { aliases: 'a, b' },
  })
  await admin.aliases.setAliases({ model: byName(name), targets: [removalOf('a', 1), removalOf('b', 1)] })
  const parents = [{ versionId: id, relation: ParentRelation.MERGED }]
  await admin.versions.createVersion({ model: byName(name), manifestDigest: newDigest(), facts: { parents } })
  expect(await refusalOf(admin.versions.deleteVersion({ version: byId(id) }))).toMatchObject({
    reason: 'VERSION_IN_USE',
  })
  await admin.versions.deleteVersion({ version: numbered(name, 2) })
  await admin.versions.deleteVersion({ version: byId(id) })
})

test('accepts either a child or the deletion of its parent, not both', async () => {
  const [name, other] = [newName(), newName()]
  await makeModel(admin, other)
  for (let round = 1; round <= 5; round += 1) {
    if (round === 1) await makeModel(admin, name, 1)
    else await admin.versions.createVersion({ model: byName(name), manifestDigest: newDigest() })
    const { id } = await resolve(selected(name, { case: 'alias', value: 'latest' }))
    const facts = { parents: [{ versionId: id, relation: ParentRelation.MERGED }] }
    const answers = await Promise.allSettled([
      metadata.replica.versions.createVersion({ model: byName(other), manifestDigest: newDigest(), facts }),
      admin.versions.deleteVersion({ version: byId(id) }),
    ])
    expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  }
})

async function databaseTime() {
  const [row] = await metadata.sql<{ now: string }>(
    'select (extract(epoch from clock_timestamp()) * 1e6)::bigint as now',
  )
  const micros = BigInt(row!.now)
  return { seconds: micros / 1_000_000n, nanos: Number(micros % 1_000_000n) * 1000 }
}
