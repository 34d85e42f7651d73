// Gates as resources: creation to deletion, names, limits, lists, access, events.
import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { byName, makeModel, makeNamespace, newName, startMetadata } from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata

const auc = { expression: 'version.metrics.auc >= 0.9', sentence: 'AUC is at least 0.9' }
const rules = { aliasPattern: 'production', conditions: [auc], approvalsRequired: 1 }

test('creates, reads, updates and deletes a gate, with one event and one revision per change', async () => {
  const namespace = await makeNamespace(admin)
  const approvers = ['carol', 'dave']
  const events = await metadata.eventsOf(async () => {
    const { gate } = await admin.gates.createGate({ namespace, name: 'two', rules, reason: 'new' })
    expect(gate).toMatchObject({ namespace, name: 'two', modelId: '', revision: 1, creator: 'admin', etag: '1' })
    expect(gate!.rules).toMatchObject({ ...rules, expiry: { seconds: 604_800n } })
    const update = { namespace, name: 'two', rules: { ...rules, approvalsRequired: 2, approvers }, reason: 'stricter' }
    expect((await admin.gates.updateGate(update)).gate).toMatchObject({ revision: 2, rules: { approvers } })
    expect((await admin.gates.getGate({ namespace, name: 'two' })).gate).toMatchObject({ revision: 2 })
    await admin.gates.deleteGate({ namespace, name: 'two', reason: 'done', etag: '2' })
  })
  const resource = { type: 'gate', namespace, name: `${namespace}/two` }
  const described = { model_id: '', alias_pattern: 'production', conditions: [auc], expiry_seconds: 604_800 }
  expect(events).toMatchObject([
    { type: 'gate.created.v1', reason: 'new', resource, details: { ...described, revision: 1, approvers: [] } },
    { type: 'gate.updated.v1', reason: 'stricter', resource, details: { ...described, revision: 2, approvers } },
    { type: 'gate.deleted.v1', reason: 'done', resource, details: { model_id: '', revision: 3 } },
  ])
  expect(events[1]).toMatchObject({ beforeDigest: events[0]!.afterDigest })
  expect(events[2]).toMatchObject({ beforeDigest: events[1]!.afterDigest })
  const gateId = events[0]!.resource.id
  const { revisions } = await admin.gates.listGateRevisions({ gateId })
  expect(revisions).toMatchObject([
    { gateId, revision: 3, changer: 'admin', reason: 'done' },
    { revision: 2, rules: { approvalsRequired: 2 }, reason: 'stricter' },
    { revision: 1, rules: { approvalsRequired: 1 }, reason: 'new' },
  ])
  expect(revisions[0]!.rules).toBeUndefined()
  expect(await refusalOf(admin.gates.getGate({ namespace, name: 'two' }))).toMatchObject({
    code: 'NotFound',
    reason: 'GATE_NOT_FOUND',
    metadata: { gate: `${namespace}/two` },
  })
})

test('rejects a duplicate gate, a gate of a missing namespace or model, and one gate over the limit', async () => {
  const namespace = await makeNamespace(admin)
  await admin.gates.createGate({ namespace, name: 'one', rules })
  expect(await refusalOf(admin.gates.createGate({ namespace, name: 'one', rules }))).toMatchObject({
    code: 'AlreadyExists',
    reason: 'GATE_EXISTS',
    metadata: { gate: `${namespace}/one` },
  })
  expect((await refusalOf(admin.gates.createGate({ namespace: 'nowhere', name: 'a', rules }))).reason).toBe(
    'NAMESPACE_NOT_FOUND',
  )
  const model = byName('nothing', namespace)
  expect((await refusalOf(admin.gates.createGate({ model, name: 'a', rules }))).reason).toBe('MODEL_NOT_FOUND')
  const more = Array.from({ length: 105 }, (_, index) =>
    admin.gates.createGate({ namespace, name: `more-${index}`, rules }),
  )
  const refused = (await Promise.allSettled(more)).filter(({ status }) => status === 'rejected')
  expect(refused).toHaveLength(6)
  expect(await refusalOf(admin.gates.createGate({ namespace, name: 'last', rules }))).toMatchObject({
    code: 'ResourceExhausted',
    reason: 'GATE_LIMIT_REACHED',
    metadata: { namespace, limit: '100' },
  })
})

test('lists gates and revisions in pages', async () => {
  const namespace = await makeNamespace(admin)
  const names = ['a', 'b', 'c', 'd', 'e']
  for (const name of names.toReversed()) await admin.gates.createGate({ namespace, name, rules })
  const seen: string[] = []
  let pageToken = ''
  do {
    const page = await admin.gates.listGates({ namespace, pageSize: 2, pageToken })
    seen.push(...page.gates.map(({ name }) => name))
    pageToken = page.nextPageToken
  } while (pageToken !== '')
  expect(seen).toEqual(names)
  const { nextPageToken } = await admin.gates.listGates({ namespace, pageSize: 2 })
  const foreign = admin.gates.listGates({ pageSize: 2, pageToken: nextPageToken })
  expect((await refusalOf(foreign)).fields).toEqual(['page_token'])
  for (let at = 0; at < 4; at += 1) await admin.gates.updateGate({ namespace, name: 'a', rules })
  const gateId = (await admin.gates.getGate({ namespace, name: 'a' })).gate!.id
  const first = await admin.gates.listGateRevisions({ gateId, pageSize: 3 })
  const second = await admin.gates.listGateRevisions({ gateId, pageSize: 3, pageToken: first.nextPageToken })
  expect([...first.revisions, ...second.revisions].map(({ revision }) => revision)).toEqual([5, 4, 3, 2, 1])
  expect(second.nextPageToken).toBe('')
})

test('returns the first answer to a repeated request, and rejects a stale etag', async () => {
  const namespace = await makeNamespace(admin)
  const request = { namespace, name: 'once', rules, requestId: randomUUID() }
  const first = await admin.gates.createGate(request)
  expect(await admin.gates.createGate(request)).toEqual(first)
  await admin.gates.updateGate({ namespace, name: 'once', rules, etag: '1' })
  for (const stale of [
    () => admin.gates.updateGate({ namespace, name: 'once', rules, etag: '1' }),
    () => admin.gates.deleteGate({ namespace, name: 'once', etag: '1' }),
  ]) {
    expect(await refusalOf(stale())).toMatchObject({ reason: 'ETAG_MISMATCH', metadata: { etag: '2' } })
  }
})

test('lets only administrators of the namespace change gates, and hides gates from callers who cannot read it', async () => {
  const namespace = await makeNamespace(admin)
  const { gate } = await admin.gates.createGate({ namespace, name: 'closed', rules })
  const approver = await metadata.member({ [namespace]: 'APPROVER' })
  for (const change of [
    () => approver.gates.createGate({ namespace, name: 'mine', rules }),
    () => approver.gates.updateGate({ namespace, name: 'closed', rules }),
    () => approver.gates.deleteGate({ namespace, name: 'closed' }),
  ]) {
    expect(await refusalOf(change())).toMatchObject({
      code: 'PermissionDenied',
      metadata: { permission: 'ADMINISTER' },
    })
  }
  expect((await approver.gates.listGateRevisions({ gateId: gate!.id })).revisions).toHaveLength(1)
  const stranger = await metadata.member({ default: 'ADMIN' })
  expect((await refusalOf(stranger.gates.getGate({ namespace, name: 'closed' }))).code).toBe('PermissionDenied')
  expect((await refusalOf(stranger.gates.listGateRevisions({ gateId: gate!.id }))).reason).toBe('GATE_NOT_FOUND')
})

test('deletes gates with their model and their namespace, with one event each', async () => {
  const namespace = await makeNamespace(admin)
  const name = newName()
  await makeModel(admin, name, 0, namespace)
  const model = byName(name, namespace)
  await admin.gates.createGate({ model, name: 'of-model', rules })
  await admin.gates.createGate({ namespace, name: 'of-room', rules })
  await admin.models.archiveModel({ model })
  const events = await metadata.eventsOf(async () => {
    await admin.models.deleteModel({ model, reason: 'old' })
    await admin.namespaces.deleteNamespace({ name: namespace, reason: 'older' })
  })
  expect(events.map(({ type, reason, resource }) => [type, reason, resource.name])).toEqual([
    ['gate.deleted.v1', 'old', `${namespace}/of-model`],
    ['model.deleted.v1', 'old', `${namespace}/${name}`],
    ['gate.deleted.v1', 'older', `${namespace}/of-room`],
    ['namespace.deleted.v1', 'older', namespace],
  ])
})

test('changes neither a gate nor its revisions without an event', async () => {
  const namespace = await makeNamespace(admin)
  await admin.gates.createGate({ namespace, name: 'firm', rules })
  for (const statement of [
    `update metadata.gate set rules = '{}' where namespace = '${namespace}'`,
    `delete from metadata.gate where namespace = '${namespace}'`,
    `delete from metadata.gate_revision where namespace = '${namespace}'`,
  ]) {
    await expect(metadata.sql(statement)).rejects.toThrow('without an audit event')
  }
})
