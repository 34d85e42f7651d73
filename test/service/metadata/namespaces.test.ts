import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { makeModel, newName, startMetadata } from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata

test('starts with the namespace "default"', async () => {
  const { namespace } = await admin.namespaces.getNamespace({})
  expect(namespace).toMatchObject({ name: 'default', description: '', etag: '1' })
  expect(namespace!.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/)
})

test('creates, reads, updates and deletes a namespace, with one event each', async () => {
  const name = newName('ns')
  const [created] = await metadata.eventsOf(() => admin.namespaces.createNamespace({ name, description: '# Fraud' }))
  const { namespace } = await admin.namespaces.getNamespace({ name })
  expect(namespace).toMatchObject({ name, description: '# Fraud' })
  expect(created).toMatchObject({
    type: 'namespace.created.v1',
    resource: { type: 'namespace', id: namespace!.id, namespace: name, name },
    actor: { principal: 'admin', method: 'token' },
  })
  const [updated, ...none] = await metadata.eventsOf(async () => {
    const answer = await admin.namespaces.updateNamespace({ name, description: 'other', etag: namespace!.etag })
    expect(answer.namespace).toMatchObject({ id: namespace!.id, description: 'other', etag: '2' })
  })
  expect(none).toEqual([])
  expect(updated).toMatchObject({ type: 'namespace.updated.v1', beforeDigest: created!.afterDigest })
  expect(updated!.afterDigest).not.toBe(updated!.beforeDigest)
  const [deleted] = await metadata.eventsOf(() => admin.namespaces.deleteNamespace({ name, reason: 'moved away' }))
  expect(deleted).toMatchObject({
    type: 'namespace.deleted.v1',
    reason: 'moved away',
    beforeDigest: updated!.afterDigest,
  })
  const gone = { code: 'NotFound', reason: 'NAMESPACE_NOT_FOUND', metadata: { namespace: name } }
  expect(await refusalOf(admin.namespaces.getNamespace({ name }))).toMatchObject(gone)
  expect(await refusalOf(admin.namespaces.updateNamespace({ name }))).toMatchObject(gone)
  expect(await refusalOf(admin.namespaces.deleteNamespace({ name }))).toMatchObject(gone)
})

test('rejects a duplicate name, also in concurrent calls on two replicas', async () => {
  const name = newName('ns')
  const answers = await Promise.allSettled(
    [admin, metadata.replica].map((clients) => clients.namespaces.createNamespace({ name })),
  )
  expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(await refusalOf(admin.namespaces.createNamespace({ name }))).toMatchObject({
    code: 'AlreadyExists',
    reason: 'NAMESPACE_EXISTS',
    metadata: { namespace: name },
  })
})

test('deletes only an empty namespace, and never the default one', async () => {
  const name = newName('ns')
  await admin.namespaces.createNamespace({ name })
  await makeModel(admin, 'kept', 0, name)
  expect(await refusalOf(admin.namespaces.deleteNamespace({ name }))).toMatchObject({
    code: 'FailedPrecondition',
    reason: 'NAMESPACE_NOT_EMPTY',
  })
  expect(await refusalOf(admin.namespaces.deleteNamespace({ name: 'default' }))).toMatchObject({ fields: ['name'] })
  expect(await refusalOf(admin.namespaces.deleteNamespace({}))).toMatchObject({ fields: ['name'] })
})

test('rejects a model in a namespace that is deleted at the same time', async () => {
  const name = newName('ns')
  await admin.namespaces.createNamespace({ name })
  const [deletion, creation] = await Promise.allSettled([
    metadata.replica.namespaces.deleteNamespace({ name }),
    admin.models.createModel({ namespace: name, name: 'late' }),
  ])
  expect([deletion.status, creation.status].sort()).toEqual(['fulfilled', 'rejected'])
})

test('revokes the roles of a deleted namespace, so that a new one of its name starts without', async () => {
  const name = newName('ns')
  await admin.namespaces.createNamespace({ name })
  const member = await metadata.member({ [name]: 'READER' })
  const events = await metadata.eventsOf(() => admin.namespaces.deleteNamespace({ name }))
  expect(events.map(({ type }) => type).sort()).toEqual(['namespace.deleted.v1', 'role.revoked.v1'])
  await admin.namespaces.createNamespace({ name })
  expect(await refusalOf(member.namespaces.getNamespace({ name }))).toMatchObject({ reason: 'PERMISSION_DENIED' })
})

test('lists the readable namespaces by name, page by page', async () => {
  const names = ['list-c', 'list-a', 'list-b']
  for (const name of names) await admin.namespaces.createNamespace({ name })
  const seen: string[] = []
  for (let pageToken = ''; ;) {
    const page = await admin.namespaces.listNamespaces({ pageSize: 1, pageToken })
    seen.push(...page.namespaces.map(({ name }) => name))
    if (page.nextPageToken === '') break
    pageToken = page.nextPageToken
  }
  expect(seen).toEqual(seen.toSorted())
  expect(seen).toEqual(expect.arrayContaining(['default', ...names]))
  const member = await metadata.member({ 'list-a': 'READER', 'list-c': 'ADMIN' })
  const { namespaces } = await member.namespaces.listNamespaces({})
  expect(namespaces.map(({ name }) => name)).toEqual(['list-a', 'list-c'])
})

test('returns the first answer to a repeated request, and rejects its id in another', async () => {
  const name = newName('ns')
  const request = { name, description: 'x', requestId: randomUUID() }
  const events = await metadata.eventsOf(async () => {
    const first = await admin.namespaces.createNamespace(request)
    expect(await metadata.replica.namespaces.createNamespace(request)).toEqual(first)
  })
  expect(events).toHaveLength(1)
  const reused = { reason: 'REQUEST_ID_REUSED', metadata: { request_id: request.requestId } }
  expect(await refusalOf(admin.namespaces.createNamespace({ ...request, name: 'x' }))).toMatchObject(reused)
  const deletion = { name, requestId: randomUUID() }
  await admin.namespaces.deleteNamespace(deletion)
  expect(await admin.namespaces.deleteNamespace(deletion)).toBeDefined()
})

test('rejects a stale etag', async () => {
  const name = newName('ns')
  await admin.namespaces.createNamespace({ name })
  await admin.namespaces.updateNamespace({ name, description: 'new', etag: '1' })
  const stale = await refusalOf(admin.namespaces.updateNamespace({ name, description: 'lost', etag: '1' }))
  expect(stale).toMatchObject({ code: 'Aborted', reason: 'ETAG_MISMATCH', metadata: { etag: '2' } })
  expect((await admin.namespaces.getNamespace({ name })).namespace!.description).toBe('new')
})
