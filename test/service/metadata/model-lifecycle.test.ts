import { randomUUID } from 'node:crypto'
import { expect, test, vi } from 'vitest'
import { ParentRelation } from '#gen/modelkeep/metadata/v1/facts_pb.ts'
import { ModelState } from '#gen/modelkeep/metadata/v1/model_pb.ts'
import {
  byId,
  byName,
  makeModel,
  newDigest,
  newName,
  numbered,
  pointTo,
  selected,
  startMetadata,
} from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata

test('retains the id of a renamed model, and finds it by its former names', async () => {
  const [first, second, third] = [newName('First'), newName('Second'), newName('Third')]
  await makeModel(admin, first, 1)
  const { model: before } = await admin.models.getModel({ model: byName(first) })
  const [event, ...none] = await metadata.eventsOf(() =>
    admin.models.renameModel({ model: byName(first), newName: second, reason: 'clearer', etag: before!.etag }),
  )
  expect(none).toEqual([])
  expect(event).toMatchObject({
    type: 'model.renamed.v1',
    reason: 'clearer',
    resource: { id: before!.id, name: `default/${second}` },
    details: { from: first, to: second },
  })
  await admin.models.renameModel({ model: byName(first), newName: third })
  const { model } = await admin.models.getModel({ model: byName(third) })
  expect(model).toMatchObject({ id: before!.id, name: third, etag: '3' })
  for (const former of [first, second, first.toLowerCase()]) {
    expect((await admin.models.getModel({ model: byName(former) })).model!.id).toBe(before!.id)
    const { version } = await admin.versions.resolveVersion({ ref: selected(former, { case: 'number', value: 1 }) })
    expect(version).toMatchObject({ model: third, number: 1 })
    const created = await admin.versions.createVersion({ model: byName(former), manifestDigest: newDigest() })
    expect(created.version!.modelId).toBe(before!.id)
  }
  expect((await admin.versions.listVersions({ model: byName(first) })).versions).toHaveLength(4)
})

test('finds a model by a former name until another model takes that name', async () => {
  const [name, other, third] = [newName(), newName(), newName()]
  await makeModel(admin, name)
  await admin.models.renameModel({ model: byName(name), newName: other })
  const { model: taker } = await admin.models.createModel({ name })
  expect((await admin.models.getModel({ model: byName(name) })).model!.id).toBe(taker!.id)
  await admin.models.renameModel({ model: byName(other), newName: third })
  await admin.models.renameModel({ model: byName(name), newName: other })
  expect((await admin.models.getModel({ model: byName(other) })).model!.id).toBe(taker!.id)
  expect((await admin.models.getModel({ model: byName(name) })).model!.id).toBe(taker!.id)
})

test('does not find a model by a former name that a deleted model had taken', async () => {
  const create = (name: string) => admin.models.createModel({ name })
  const rename = async (name: string, other: string) => {
    await makeModel(admin, other)
    await admin.models.renameModel({ model: byName(other), newName: name })
  }
  for (const take of [create, rename]) {
    const [name, later] = [newName(), newName()]
    await makeModel(admin, name, 1)
    const { model: first } = await admin.models.renameModel({ model: byName(name), newName: later })
    await take(name, newName())
    const { model: taker } = await admin.models.archiveModel({ model: byName(name) })
    expect(taker!.id).not.toBe(first!.id)
    await admin.models.deleteModel({ model: byName(name) })
    const gone = [take.name, 'MODEL_NOT_FOUND']
    expect([take.name, (await refusalOf(admin.models.getModel({ model: byName(name) }))).reason]).toEqual(gone)
    const push = admin.versions.createVersion({ model: byName(name), manifestDigest: newDigest() })
    expect([take.name, (await refusalOf(push)).reason]).toEqual(gone)
    expect((await admin.models.getModel({ model: byName(later) })).model).toEqual(first)
  }
})

test('renames a model back, and in case only', async () => {
  const name = newName('Back')
  await makeModel(admin, name)
  await admin.models.renameModel({ model: byName(name), newName: `${name}x` })
  await admin.models.renameModel({ model: byName(name), newName: name.toLowerCase() })
  const { model } = await admin.models.renameModel({ model: byName(name), newName: name.toUpperCase() })
  expect(model!.name).toBe(name.toUpperCase())
  expect((await admin.models.getModel({ model: byName(`${name}x`) })).model!.id).toBe(model!.id)
  const events = await metadata.eventsOf(() =>
    admin.models.renameModel({ model: byName(name), newName: name.toUpperCase() }),
  )
  expect(events).toEqual([])
})

test('rejects a rename to a name in use, also when two rename at once', async () => {
  const [one, two, wanted] = [newName(), newName(), newName('Wanted')]
  await makeModel(admin, one)
  await makeModel(admin, two)
  const answers = await Promise.allSettled([
    admin.models.renameModel({ model: byName(one), newName: wanted }),
    metadata.replica.models.renameModel({ model: byName(two), newName: wanted.toLowerCase() }),
    admin.models.createModel({ name: wanted.toUpperCase() }),
  ])
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  const taken = await refusalOf(admin.models.createModel({ name: wanted }))
  expect(taken).toMatchObject({ code: 'AlreadyExists', reason: 'MODEL_EXISTS' })
  const third = newName()
  await makeModel(admin, third)
  expect(await refusalOf(admin.models.renameModel({ model: byName(third), newName: wanted }))).toMatchObject({
    reason: 'MODEL_EXISTS',
    metadata: { model: `default/${wanted}` },
  })
})

test('rejects new versions and alias moves of an archived model, and still resolves it', async () => {
  const name = newName()
  await makeModel(admin, name, 2)
  await admin.aliases.setAliases({ model: byName(name), targets: [pointTo('production', 1)] })
  const events = await metadata.eventsOf(async () => {
    const { model } = await admin.models.archiveModel({ model: byName(name), reason: 'old', etag: '1' })
    expect(model!.state).toBe(ModelState.ARCHIVED)
    const again = await admin.models.archiveModel({ model: byName(name) })
    expect(again.model).toEqual(model)
  })
  expect(events).toMatchObject([{ type: 'model.archived.v1', reason: 'old' }])
  const archived = { code: 'FailedPrecondition', reason: 'MODEL_ARCHIVED', metadata: { model: `default/${name}` } }
  const calls = [
    () => admin.versions.createVersion({ model: byName(name), manifestDigest: newDigest() }),
    () => admin.aliases.setAliases({ model: byName(name), targets: [pointTo('production', 2, 1)] }),
    () => admin.aliases.rollbackAlias({ model: byName(name), name: 'production', expectedNumber: 1 }),
  ]
  for (const call of calls) expect(await refusalOf(call())).toMatchObject(archived)
  const ref = selected(name, { case: 'alias', value: 'production' })
  expect((await admin.versions.resolveVersion({ ref })).version!.number).toBe(1)
  const [unarchived] = await metadata.eventsOf(() => admin.models.unarchiveModel({ model: byName(name) }))
  expect(unarchived!.type).toBe('model.unarchived.v1')
  expect(await metadata.eventsOf(() => admin.models.unarchiveModel({ model: byName(name) }))).toEqual([])
  await admin.aliases.setAliases({ model: byName(name), targets: [pointTo('production', 2, 1)] })
})

test('rejects rename, archive, unarchive and delete with a stale etag', async () => {
  const name = newName()
  await makeModel(admin, name)
  await admin.models.updateModel({ model: byName(name), updateMask: { paths: ['owner'] }, owner: 'x' })
  const stale = { model: byName(name), etag: '1' }
  const calls = [
    () => admin.models.renameModel({ ...stale, newName: 'lost' }),
    () => admin.models.archiveModel(stale),
    () => admin.models.unarchiveModel(stale),
    () => admin.models.deleteModel(stale),
  ]
  for (const call of calls) {
    expect(await refusalOf(call())).toMatchObject({ reason: 'ETAG_MISMATCH', metadata: { etag: '2' } })
  }
})

test('deletes a model only when it is archived and has no aliases', async () => {
  const name = newName()
  await makeModel(admin, name, 1)
  expect(await refusalOf(admin.models.deleteModel({ model: byName(name) }))).toMatchObject({
    code: 'FailedPrecondition',
    reason: 'MODEL_IN_USE',
  })
  await admin.aliases.setAliases({ model: byName(name), targets: [pointTo('production', 1)] })
  await admin.models.archiveModel({ model: byName(name) })
  expect(await refusalOf(admin.models.deleteModel({ model: byName(name) }))).toMatchObject({
    reason: 'MODEL_IN_USE',
    metadata: { aliases: 'production' },
  })
})

test('deletes a model with its versions, releases its manifests, and frees its name', async () => {
  const name = newName()
  await makeModel(admin, name, 3)
  const { model } = await admin.models.archiveModel({ model: byName(name) })
  const { versions } = await admin.versions.listVersions({ model: byName(name) })
  const request = { model: byName(name), reason: 'unused', requestId: randomUUID() }
  const events = await metadata.eventsOf(() => admin.models.deleteModel(request))
  expect(events).toMatchObject([
    { type: 'model.deleted.v1', reason: 'unused', resource: { id: model!.id }, details: { versions: 3 } },
  ])
  const gone = { code: 'NotFound', reason: 'MODEL_NOT_FOUND' }
  for (const ref of [byName(name), byId(model!.id)]) {
    expect(await refusalOf(admin.models.getModel({ model: ref }))).toMatchObject(gone)
    expect(await refusalOf(admin.versions.listVersions({ model: ref }))).toMatchObject(gone)
    expect(await refusalOf(admin.models.deleteModel({ model: ref }))).toMatchObject(gone)
  }
  for (const { id } of versions) {
    expect(await refusalOf(admin.versions.resolveVersion({ ref: byId(id) }))).toMatchObject({
      reason: 'VERSION_NOT_FOUND',
    })
  }
  await vi.waitFor(() => {
    for (const { id } of versions) expect(metadata.peers.retained.has(id)).toBe(false)
  })
  expect(await admin.models.deleteModel(request)).toBeDefined()
  const anew = await admin.models.createModel({ name })
  expect(anew.model!.id).not.toBe(model!.id)
  const first = await admin.versions.createVersion({ model: byName(name), manifestDigest: versions[0]!.digest })
  expect(first.version!.number).toBe(1)
})

test('rejects the deletion of a model whose version has a child in another model', async () => {
  const [parent, child] = [newName(), newName()]
  await makeModel(admin, parent, 1)
  await makeModel(admin, child)
  const ref = { ref: numbered(parent, 1).ref }
  const { version } = await admin.versions.resolveVersion({
    ref: selected(parent, { case: 'number', value: ref.ref.value.number }),
  })
  const parents = [{ versionId: version!.id, relation: ParentRelation.DISTILLED }]
  await admin.versions.createVersion({ model: byName(parent), manifestDigest: newDigest(), facts: { parents } })
  await admin.versions.createVersion({ model: byName(child), manifestDigest: newDigest(), facts: { parents } })
  await admin.models.archiveModel({ model: byName(parent) })
  expect(await refusalOf(admin.models.deleteModel({ model: byName(parent) }))).toMatchObject({
    code: 'FailedPrecondition',
    reason: 'VERSION_IN_USE',
  })
  await admin.models.archiveModel({ model: byName(child) })
  await admin.models.deleteModel({ model: byName(child) })
  await admin.models.deleteModel({ model: byName(parent) })
})
