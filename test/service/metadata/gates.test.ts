import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { ConditionOutcome } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { FIELDS } from '../../../services/metadata/domain/governance/condition.ts'
import {
  byName,
  makeModel,
  makeNamespace,
  newName,
  numbered,
  pointTo,
  removalOf,
  startMetadata,
} from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata

const auc = { expression: 'version.metrics.auc >= 0.9', sentence: 'AUC is at least 0.9' }
const rules = { aliasPattern: 'production', conditions: [auc], approvalsRequired: 1 }

test('a gate is made, read, changed and deleted, each with one event and a revision', async () => {
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

test('bad rules name the field and the rule, and nothing is made', async () => {
  const namespace = await makeNamespace(admin)
  const { expression, sentence } = auc
  const cases: [object, string][] = [
    [{ ...rules, aliasPattern: '' }, 'rules.alias_pattern'],
    [{ ...rules, aliasPattern: 'a b' }, 'rules.alias_pattern'],
    [{ ...rules, aliasPattern: 'a'.repeat(129) }, 'rules.alias_pattern'],
    [{ ...rules, conditions: [{ expression: 'version.', sentence }] }, 'rules.conditions[0].expression'],
    [{ ...rules, conditions: [auc, { expression, sentence: '' }] }, 'rules.conditions[1].sentence'],
    [{ ...rules, conditions: [{ expression, sentence: 'a\nb' }] }, 'rules.conditions[0].sentence'],
    [{ ...rules, conditions: Array.from({ length: 21 }, () => auc) }, 'rules.conditions'],
    [{ ...rules, approvalsRequired: -1 }, 'rules.approvals_required'],
    [{ ...rules, approvalsRequired: 11 }, 'rules.approvals_required'],
    [{ ...rules, approvalsRequired: 2, approvers: ['carol'] }, 'rules.approvals_required'],
    [{ ...rules, approvalsRequired: 0, approvers: ['carol'] }, 'rules.approvals_required'],
    [{ aliasPattern: 'production' }, 'rules'],
    [{ ...rules, approvers: ['Carol!'] }, 'rules.approvers[0]'],
    [{ ...rules, approvers: ['carol', 'carol'] }, 'rules.approvers[1]'],
    [{ ...rules, approvers: Array.from({ length: 101 }, (_, index) => `p${index}`) }, 'rules.approvers'],
    [{ ...rules, expiry: { seconds: 59n } }, 'rules.expiry'],
    [{ ...rules, expiry: { seconds: 7_776_001n } }, 'rules.expiry'],
    [{ ...rules, expiry: { seconds: 100n, nanos: 1 } }, 'rules.expiry'],
    [
      {
        ...rules,
        conditions: Array.from({ length: 9 }, () => ({ sentence, expression: `alias == "${'a'.repeat(2000)}"` })),
      },
      'rules',
    ],
  ]
  const events = await metadata.eventsOf(async () => {
    for (const [bad, field] of cases) {
      const refused = await refusalOf(admin.gates.createGate({ namespace, name: 'bad', rules: bad }))
      expect([field, refused]).toMatchObject([field, { code: 'InvalidArgument', fields: [field] }])
    }
    for (const name of ['', 'Upper', '-a', 'a'.repeat(64)]) {
      expect((await refusalOf(admin.gates.createGate({ namespace, name, rules }))).fields).toEqual(['name'])
    }
    expect((await refusalOf(admin.gates.createGate({ namespace, name: 'bad' }))).fields).toEqual(['rules'])
  })
  expect(events).toEqual([])
  expect((await admin.gates.listGates({ namespace })).gates).toEqual([])
})

test('a gate of a name that is taken, of nothing that is there, and one too many are refused', async () => {
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

test('gates and revisions come in pages', async () => {
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

test('a repeated request gets the first answer, and a stale etag is refused', async () => {
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

test('only admins of the namespace change gates; who may not read there learns nothing', async () => {
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

test('a gate guards the aliases of its pattern, of its model, from the moment it is made', async () => {
  const namespace = await makeNamespace(admin)
  const [one, two] = [newName(), newName()]
  await makeModel(admin, one, 2, namespace)
  await makeModel(admin, two, 1, namespace)
  const set = (model: string, name: string, value = 1, expectedNumber = 0) =>
    admin.aliases.setAliases({
      model: byName(model, namespace),
      targets: [pointTo(name, value, expectedNumber)],
    })
  await set(one, 'prod-eu')
  await admin.gates.createGate({
    model: byName(one, namespace),
    name: 'eu',
    rules: { aliasPattern: 'prod*', approvalsRequired: 1 },
  })
  expect(await refusalOf(set(one, 'prod-eu', 2, 1))).toMatchObject({
    code: 'FailedPrecondition',
    reason: 'ALIAS_GATED',
    metadata: { alias: 'prod-eu', gates: 'eu' },
  })
  await set(one, 'prod-eu', 1, 1)
  expect((await refusalOf(set(one, 'prod-us'))).reason).toBe('ALIAS_GATED')
  await set(one, 'staging')
  await set(two, 'prod-eu')
  await admin.gates.createGate({ namespace, name: 'everywhere', rules: { aliasPattern: '*', approvalsRequired: 1 } })
  expect((await refusalOf(set(one, 'prod-eu', 2, 1))).metadata['gates']).toBe('eu, everywhere')
  const model = byName(two, namespace)
  const remove = removalOf('prod-eu', 1)
  expect((await refusalOf(admin.aliases.setAliases({ model, targets: [remove] }))).reason).toBe('ALIAS_GATED')
  await admin.gates.deleteGate({ namespace, name: 'everywhere' })
  await admin.aliases.setAliases({ model, targets: [remove] })
})

test('rules are tried out without being made, and every condition has its result', async () => {
  const name = newName()
  await makeModel(admin, name, 1)
  const version = numbered(name, 1)
  const conditions = [
    { expression: 'version.number == 1', sentence: 'it is the first' },
    { expression: 'current != null', sentence: 'something is there already' },
    auc,
  ]
  const events = await metadata.eventsOf(async () => {
    const asked = { version: { ref: { case: 'id' as const, value: '' } }, alias: 'production' }
    const { ref } = version
    const chosen = { namespace: '', model: name, selector: { case: 'number' as const, value: ref.value.number } }
    const by = { ...asked, version: { ref: { case: 'name' as const, value: chosen } } }
    const tried = await admin.gates.testGate({ ...by, rules: { ...rules, conditions } })
    expect(tried.passed).toBe(false)
    expect(tried.decisions).toMatchObject([
      {
        gate: '',
        revision: 0,
        conditions: [
          { sentence: 'it is the first', outcome: ConditionOutcome.TRUE, error: '' },
          { outcome: ConditionOutcome.FALSE, error: '' },
          { outcome: ConditionOutcome.ERROR, error: 'field not found: auc' },
        ],
      },
    ])
    expect(await admin.gates.testGate(by)).toMatchObject({ decisions: [], passed: true })
    const passing = { ...rules, conditions: conditions.slice(0, 1) }
    expect((await admin.gates.testGate({ ...by, rules: passing })).passed).toBe(true)
    expect((await refusalOf(admin.gates.testGate({ ...by, alias: 'latest' }))).fields).toEqual(['alias'])
    expect((await refusalOf(admin.gates.testGate({ ...by, rules: {} }))).fields).toEqual(['rules.alias_pattern'])
  })
  expect(events).toEqual([])
})

test('conditions see every field that they may name', async () => {
  const name = newName()
  await makeModel(admin, name, 2)
  await admin.aliases.setAliases({ model: byName(name), targets: [pointTo('production', 1)] })
  const chosen = { namespace: '', model: name, selector: { case: 'number' as const, value: 2 } }
  const version = { ref: { case: 'name' as const, value: chosen } }
  for (const [variable, fields] of FIELDS) {
    const conditions = fields.map((field) => ({ expression: `has(${variable}.${field})`, sentence: field }))
    const tried = await admin.gates.testGate({ version, alias: 'production', rules: { ...rules, conditions } })
    expect([
      variable,
      tried.decisions[0]!.conditions.filter(({ outcome }) => outcome !== ConditionOutcome.TRUE),
    ]).toEqual([variable, []])
  }
})

test('gates end with their model and with their namespace, each with its event', async () => {
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

test('neither gates nor what they were change without an event', async () => {
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
