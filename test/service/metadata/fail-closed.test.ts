// A registry that fails closed: the gravest changes are answered when the log has given them an index, and not before.
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { byName, makeModel, numbered, startMetadata, type Metadata } from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

let metadata: Metadata
beforeAll(async () => {
  metadata = await startMetadata({ failClosedSeconds: 1 })
})
beforeEach(() => {
  metadata.sisters.auditDown = false
})
afterAll(() => metadata.close())

const seen = (type: string) => metadata.sisters.events.filter((event) => event.type === type)
const move = (model: string, number: number, expectedNumber: number, requestId = '') => ({
  model: byName(model),
  targets: [{ name: 'live', target: { case: 'number' as const, value: number }, expectedNumber }],
  requestId,
})

test('answers a grave change when the log has its event, whichever replica sends it', async () => {
  await makeModel(metadata.admin, 'open', 2)
  for (const [at, clients] of [metadata.admin, metadata.replica].entries()) {
    await clients.aliases.setAliases(move('open', at + 1, at))
    expect(seen('alias.moved.v1').filter(({ resource }) => resource!.name.includes('open')).length).toBe(at + 1)
  }
})

test('refuses while the log does not answer, says that the change is done, and answers a repeat when the log is back', async () => {
  await makeModel(metadata.admin, 'closed', 1)
  metadata.sisters.auditDown = true
  const requestId = randomUUID()
  const refused = await refusalOf(metadata.admin.aliases.setAliases(move('closed', 1, 0, requestId)))
  expect(refused).toMatchObject({ code: 'Unavailable', reason: 'AUDIT_UNAVAILABLE', metadata: { seconds: '1' } })
  expect(refused.message).toContain('the change is done')
  const { aliases } = await metadata.admin.aliases.listAliases({ model: byName('closed') })
  expect(aliases).toMatchObject([{ name: 'live', number: 1 }])
  const again = await refusalOf(metadata.admin.aliases.setAliases(move('closed', 1, 0, requestId)))
  expect(again.reason).toBe('AUDIT_UNAVAILABLE')
  metadata.sisters.auditDown = false
  const answer = await metadata.admin.aliases.setAliases(move('closed', 1, 0, requestId))
  expect(answer.aliases).toMatchObject([{ name: 'live', number: 1 }])
  expect(seen('alias.moved.v1').filter(({ resource }) => resource!.name.includes('closed')).length).toBe(1)
})

test('holds deletes, promotions, gates, roles and tokens to it, and nothing else', async () => {
  await makeModel(metadata.admin, 'many', 4)
  await metadata.admin.namespaces.createNamespace({ name: 'empty' })
  const { admin } = metadata
  const expireTime = timestampFromMs(Date.now() + 3_600_000)
  const { token } = await admin.identity.createToken({ principal: 'temp', expireTime })
  await admin.aliases.setAliases(move('many', 1, 0))
  await admin.aliases.setAliases(move('many', 2, 1))
  const rules = { aliasPattern: 'guarded-*', approvalsRequired: 1 }
  await admin.gates.createGate({ name: 'gate', rules })
  const ask = async (number: number) =>
    admin.promotions.requestPromotion({ version: numbered('many', number), alias: `guarded-${number}`, reason: 'x' })
  const [first, second] = [(await ask(1)).promotion!, (await ask(2)).promotion!]
  const approver = await metadata.member({ default: 'APPROVER' })
  const { promotions } = approver
  metadata.sisters.auditDown = true
  const grave = [
    () => promotions.rejectPromotion({ id: first.id, reason: 'x' }),
    () => promotions.approvePromotion({ id: second.id, reason: 'x' }),
    () => ask(3),
    () => admin.gates.createGate({ name: 'other', rules: { aliasPattern: 'other', approvalsRequired: 1 } }),
    () => admin.versions.deleteVersion({ version: numbered('many', 4), reason: 'x' }),
    () => admin.aliases.rollbackAlias({ model: byName('many'), name: 'live', expectedNumber: 2 }),
    () => admin.namespaces.deleteNamespace({ name: 'empty', reason: 'x' }),
    () => admin.identity.grantRole({ principal: 'temp', role: Role.READER }),
    () => admin.identity.revokeRole({ principal: 'temp' }),
    () => admin.identity.createToken({ principal: 'other', expireTime }),
    () => admin.identity.revokeToken({ id: token!.id }),
  ]
  const reasons = await Promise.all(grave.map((change) => refusalOf(change()).then(({ reason }) => reason)))
  expect(reasons).toEqual(grave.map(() => 'AUDIT_UNAVAILABLE'))
  await admin.models.createModel({ name: 'light' })
  await admin.models.updateModel({ model: byName('light'), updateMask: { paths: ['owner'] }, owner: 'team' })
})
