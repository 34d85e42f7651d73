import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { ModelState } from '#gen/modelkeep/metadata/v1/model_pb.ts'
import { byId, byName, makeModel, newName, pointTo, startMetadata, type Clients } from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata

test('creates a model with all its fields, and one event', async () => {
  const name = newName()
  const request = { name, description: '# Scorer', owner: 'risk team', labels: { team: 'core', 'app/x': '' } }
  const [event, ...none] = await metadata.eventsOf(() => admin.models.createModel(request))
  const { model } = await admin.models.getModel({ model: byName(name) })
  expect(model).toMatchObject({
    ...request,
    namespace: 'default',
    state: ModelState.ACTIVE,
    latestNumber: 0,
    aliases: [],
    creator: 'admin',
    etag: '1',
  })
  expect(model!.createTime).toEqual(model!.updateTime)
  expect(none).toEqual([])
  expect(event).toMatchObject({
    type: 'model.created.v1',
    resource: { type: 'model', id: model!.id, namespace: 'default', name: `default/${name}` },
  })
})

test('makes the caller the owner where none is given', async () => {
  const { model } = await admin.models.createModel({ name: newName() })
  expect(model!.owner).toBe('admin')
})

test('returns a model by id and by name, without regard to case', async () => {
  const name = newName('Case')
  const { model } = await admin.models.createModel({ name })
  expect((await admin.models.getModel({ model: byId(model!.id.toUpperCase()) })).model).toEqual(model)
  expect((await admin.models.getModel({ model: byName(name.toUpperCase()) })).model).toEqual(model)
})

test('returns the aliases of a model by name, and its latest number', async () => {
  const name = newName()
  await makeModel(admin, name, 2)
  await admin.aliases.setAliases({ model: byName(name), targets: [pointTo('z', 1), pointTo('a', 2)] })
  const { model } = await admin.models.getModel({ model: byName(name) })
  expect(model!.latestNumber).toBe(2)
  expect(model!.aliases.map((alias) => [alias.name, alias.number])).toEqual([
    ['a', 2],
    ['z', 1],
  ])
})

test('rejects a name that differs from another in case only, also between replicas', async () => {
  const name = newName('Unique')
  const answers = await Promise.allSettled(
    Array.from({ length: 6 }, (_, index) => {
      const clients = index % 2 === 0 ? admin : metadata.replica
      return clients.models.createModel({ name: index < 3 ? name : name.toLowerCase() })
    }),
  )
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  expect(await refusalOf(admin.models.createModel({ name: name.toUpperCase() }))).toMatchObject({
    code: 'AlreadyExists',
    reason: 'MODEL_EXISTS',
    metadata: { model: `default/${name.toUpperCase()}` },
  })
  await admin.namespaces.createNamespace({ name: 'other' })
  await admin.models.createModel({ name, namespace: 'other' })
})

test('rejects a model in a missing namespace', async () => {
  expect(await refusalOf(admin.models.createModel({ name: 'x', namespace: 'nowhere' }))).toMatchObject({
    code: 'NotFound',
    reason: 'NAMESPACE_NOT_FOUND',
    metadata: { namespace: 'nowhere' },
  })
})

test('updates the fields of the mask and nothing else', async () => {
  const name = newName()
  const { model: before } = await admin.models.createModel({ name, description: 'd', owner: 'o', labels: { a: '1' } })
  const [event, ...none] = await metadata.eventsOf(() =>
    admin.models.updateModel({
      model: byName(name),
      updateMask: { paths: ['labels'] },
      labels: { b: '2' },
      description: 'not named',
      etag: before!.etag,
    }),
  )
  const { model } = await admin.models.getModel({ model: byName(name) })
  expect(model).toMatchObject({ description: 'd', owner: 'o', labels: { b: '2' }, etag: '2' })
  expect(none).toEqual([])
  expect(event).toMatchObject({ type: 'model.updated.v1', details: { fields: ['labels'] } })
  const all = { updateMask: { paths: ['description', 'owner', 'labels'] }, description: '', owner: '', labels: {} }
  const emptied = await admin.models.updateModel({ model: byName(name), ...all })
  expect(emptied.model).toMatchObject({ description: '', owner: '', labels: {}, etag: '3' })
})

test('accepts one of two updates with the same etag', async () => {
  const name = newName()
  await makeModel(admin, name)
  const update = (clients: Clients, owner: string) =>
    clients.models.updateModel({ model: byName(name), updateMask: { paths: ['owner'] }, owner, etag: '1' })
  const answers = await Promise.allSettled([update(admin, 'one'), update(metadata.replica, 'two')])
  expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(await refusalOf(update(admin, 'three'))).toMatchObject({
    code: 'Aborted',
    reason: 'ETAG_MISMATCH',
    metadata: { etag: '2' },
  })
})

test('lists models by name, page by page, without archived ones', async () => {
  await admin.namespaces.createNamespace({ name: 'list' })
  for (const name of ['b', 'A', 'c', 'gone', 'D']) await makeModel(admin, name, 0, 'list')
  await admin.models.archiveModel({ model: byName('gone', 'list') })
  expect(await namesOf({ namespace: 'list', pageSize: 2 })).toEqual(['A', 'b', 'c', 'D'])
  expect(await namesOf({ namespace: 'list', orderBy: 'name desc', pageSize: 3 })).toEqual(['D', 'c', 'b', 'A'])
  expect(await namesOf({ namespace: 'list', orderBy: 'create_time', pageSize: 1 })).toEqual(['b', 'A', 'c', 'D'])
  await admin.models.updateModel({ model: byName('A', 'list'), updateMask: { paths: ['owner'] }, owner: 'x' })
  expect(await namesOf({ namespace: 'list', orderBy: 'update_time desc', pageSize: 3 })).toEqual(['A', 'D', 'c', 'b'])
  expect(await namesOf({ namespace: 'list', filter: 'state = ARCHIVED' })).toEqual(['gone'])
  expect(await namesOf({ namespace: 'list', filter: 'NOT state = ARCHIVED', pageSize: 1 })).toEqual([
    'A',
    'b',
    'c',
    'D',
  ])
  expect(await namesOf({ namespace: 'list', filter: 'state = ARCHIVED OR state = ACTIVE' })).toHaveLength(5)
})

test('finds models by every field of the filter', async () => {
  await admin.namespaces.createNamespace({ name: 'filter' })
  await admin.models.createModel({ namespace: 'filter', name: 'Fraud', owner: 'risk', labels: { team: 'core', n: '' } })
  await admin.models.createModel({ namespace: 'filter', name: 'churn', owner: 'sales', labels: { team: 'growth' } })
  const find = (filter: string) => namesOf({ namespace: 'filter', filter })
  expect(await find('name = Fraud')).toEqual(['Fraud'])
  expect(await find('name:FRA')).toEqual(['Fraud'])
  expect(await find('owner = "risk" OR owner = sales')).toEqual(['churn', 'Fraud'])
  expect(await find('creator = admin AND owner != risk')).toEqual(['churn'])
  expect(await find('labels.team = core')).toEqual(['Fraud'])
  expect(await find('labels:n')).toEqual(['Fraud'])
  expect(await find('NOT labels.n:*')).toEqual(['churn'])
  expect(await find('labels.team:OW')).toEqual(['churn'])
  expect(await find('create_time > 2020-01-01 update_time > 2020-01-01T00:00:00Z')).toEqual(['churn', 'Fraud'])
  expect(await find('create_time > 2099-01-01T00:00:00+02:00')).toEqual([])
  expect(await find(`name = "'; drop table model; --"`)).toEqual([])
  expect(await find('labels."a b\' ? $1" = x')).toEqual([])
})

test('lists the models of all readable namespaces where none is given', async () => {
  for (const name of ['span-a', 'span-b']) {
    await admin.namespaces.createNamespace({ name })
    await makeModel(admin, name, 0, name)
  }
  const member = await metadata.member({ 'span-a': 'READER' })
  expect((await member.models.listModels({})).models.map(({ name }) => name)).toEqual(['span-a'])
  expect(await namesOf({ filter: 'name:span' })).toEqual(['span-a', 'span-b'])
  expect(await refusalOf(member.models.listModels({ namespace: 'span-b' }))).toMatchObject({
    reason: 'PERMISSION_DENIED',
    metadata: { permission: 'READ', namespace: 'span-b' },
  })
})

test('limits a page of large models to the message limit', async () => {
  await admin.namespaces.createNamespace({ name: 'large' })
  const description = 'x'.repeat(65_536)
  const names = Array.from({ length: 60 }, (_, index) => `m${String(index).padStart(2, '0')}`)
  await Promise.all(names.map((name) => admin.models.createModel({ namespace: 'large', name, description })))
  const page = await admin.models.listModels({ namespace: 'large', pageSize: 1000 })
  expect(page.models.length).toBeGreaterThan(40)
  expect(page.models.length).toBeLessThan(48)
  expect(await namesOf({ namespace: 'large', pageSize: 1000 })).toEqual(names)
})

test('returns the first answer to a repeated request', async () => {
  const request = { name: newName(), labels: { a: '1', b: '2' }, requestId: randomUUID() }
  const answers = await Promise.all(
    [admin, metadata.replica, admin, metadata.replica].map(({ models }) => models.createModel(request)),
  )
  expect(new Set(answers.map(({ model }) => model!.id)).size).toBe(1)
  expect(await refusalOf(admin.models.createModel({ ...request, owner: 'x' }))).toMatchObject({
    reason: 'REQUEST_ID_REUSED',
  })
  const update = { model: byName(request.name), updateMask: { paths: ['owner'] }, owner: 'x', requestId: randomUUID() }
  const first = await admin.models.updateModel({ ...update, etag: '1' })
  expect(await admin.models.updateModel({ ...update, etag: '1' })).toEqual(first)
})

async function namesOf(request: Parameters<typeof admin.models.listModels>[0]): Promise<string[]> {
  const names: string[] = []
  for (let pageToken = ''; ;) {
    const page = await admin.models.listModels({ ...request, pageToken })
    names.push(...page.models.map(({ name }) => name))
    if (page.nextPageToken === '') return names
    pageToken = page.nextPageToken
  }
}
