// Alias moves past the gates, in an emergency.
import { expect, test } from 'vitest'
import { byName, makeModel, makeNamespace, newName, pointTo, removalOf, startMetadata } from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata

async function startGuarded() {
  const namespace = await makeNamespace(admin)
  const name = newName()
  const digests = await makeModel(admin, name, 3, namespace)
  const { gate } = await admin.gates.createGate({
    namespace,
    name: 'gate',
    rules: { aliasPattern: 'production', approvalsRequired: 1 },
  })
  return { namespace, model: byName(name, namespace), name, digests, gate: gate! }
}

test('records forced moves, rollbacks and removals of a guarded alias by an administrator', async () => {
  const { namespace, model, name, digests, gate } = await startGuarded()
  const past = { breakGlass: true, reason: 'incident 42' }
  const events = await metadata.eventsOf(async () => {
    await admin.aliases.setAliases({ model, targets: [pointTo('production', 1), pointTo('staging', 1)], ...past })
    await admin.aliases.setAliases({ model, targets: [pointTo('production', 2, 1)], ...past })
    const rolledBack = await admin.aliases.rollbackAlias({ model, name: 'production', expectedNumber: 2, ...past })
    expect(rolledBack.alias).toMatchObject({ number: 1, reason: 'incident 42' })
    await admin.aliases.setAliases({ model, targets: [removalOf('production', 1)], ...past })
  })
  const gates = [{ id: gate.id, revision: 1 }]
  const resource = { type: 'alias', namespace, name: `${namespace}/${name}@production` }
  expect(events).toMatchObject([
    {
      type: 'alias.forced.v1',
      reason: 'incident 42',
      resource,
      afterDigest: digests[0],
      details: { from: 0, to: 1, gates },
    },
    { type: 'alias.moved.v1', resource: { name: `${namespace}/${name}@staging` }, details: { from: 0, to: 1 } },
    { type: 'alias.forced.v1', beforeDigest: digests[0], afterDigest: digests[1], details: { from: 1, to: 2, gates } },
    { type: 'alias.forced.v1', details: { from: 2, to: 1, gates } },
    { type: 'alias.forced.v1', beforeDigest: digests[0], details: { from: 1, to: 0, gates } },
  ])
  expect(events[1]!.details).not.toHaveProperty('gates')
  const { moves } = await admin.aliases.listAliasMoves({ model })
  expect(moves.map((move) => [move.name, move.forced, move.promotionId])).toEqual([
    ['production', true, ''],
    ['production', true, ''],
    ['production', true, ''],
    ['staging', false, ''],
    ['production', true, ''],
  ])
})

test('rejects a forced move by others or without a reason, and moves nothing', async () => {
  const { namespace, model } = await startGuarded()
  const approver = await metadata.member({ [namespace]: 'APPROVER' })
  const targets = [pointTo('staging', 1), pointTo('production', 1)]
  const forced = approver.aliases.setAliases({ model, targets, breakGlass: true, reason: 'hurry' })
  expect(await refusalOf(forced)).toMatchObject({
    code: 'PermissionDenied',
    reason: 'PERMISSION_DENIED',
    metadata: { permission: 'ADMINISTER', namespace },
  })
  for (const reason of ['', ' \n ']) {
    const mute = admin.aliases.setAliases({ model, targets, breakGlass: true, reason })
    expect(await refusalOf(mute)).toMatchObject({ code: 'InvalidArgument', fields: ['reason'] })
  }
  expect((await refusalOf(admin.aliases.setAliases({ model, targets, reason: 'why not' }))).reason).toBe('ALIAS_GATED')
  expect((await admin.aliases.listAliases({ model })).aliases).toEqual([])
  await approver.aliases.setAliases({ model, targets: [pointTo('staging', 1)], breakGlass: true })
  await approver.aliases.setAliases({ model, targets: [pointTo('staging', 2, 1)] })
})

test('guards a rollback like any other move', async () => {
  const { model } = await startGuarded()
  const past = { breakGlass: true, reason: 'incident 43' }
  await admin.aliases.setAliases({ model, targets: [pointTo('production', 1)], ...past })
  await admin.aliases.setAliases({ model, targets: [pointTo('production', 2, 1)], ...past })
  const back = { model, name: 'production', expectedNumber: 2, reason: 'worse' }
  expect(await refusalOf(admin.aliases.rollbackAlias(back))).toMatchObject({
    reason: 'ALIAS_GATED',
    metadata: { alias: 'production', gates: 'gate' },
  })
})
