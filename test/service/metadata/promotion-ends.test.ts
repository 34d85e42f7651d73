// How promotions end, other than by being applied.
import { afterAll, expect, test } from 'vitest'
import { PromotionState } from '#gen/modelkeep/metadata/v1/promotion_pb.ts'
import { byName, numbered, startMetadata } from '../../support/metadata.ts'
import { production, roomsOf } from '../../support/promotion-room.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
afterAll(() => metadata.close())
const { admin } = metadata
const startRoom = roomsOf(metadata)

const stateOf = async (id: string) => (await admin.promotions.getPromotion({ id })).promotion!.state

test('a promotion ends when an approver says no', async () => {
  const room = await startRoom(production({ approvalsRequired: 1 }))
  const { id } = (await room.ask(room.bob, 1)).promotion!
  const events = await metadata.eventsOf(async () => {
    const { promotion } = await room.carol.promotions.rejectPromotion({ id, reason: 'too slow' })
    expect(promotion).toMatchObject({
      state: PromotionState.REJECTED,
      closeReason: 'too slow',
      closer: room.carol.principal,
    })
  })
  expect(events).toMatchObject([{ type: 'promotion.rejected.v1', reason: 'too slow', resource: { id } }])
  expect(await refusalOf(room.dave.promotions.approvePromotion({ id, reason: 'no, good' }))).toMatchObject({
    code: 'FailedPrecondition',
    reason: 'PROMOTION_CLOSED',
    metadata: { promotion: id, state: 'REJECTED' },
  })
})

test('it ends when whoever asked takes it back, or an admin does; nobody else', async () => {
  const room = await startRoom(production({ approvalsRequired: 1 }))
  const first = (await room.ask(room.bob, 1)).promotion!
  const stranger = room.alice.promotions.withdrawPromotion({ id: first.id })
  expect(await refusalOf(stranger)).toMatchObject({
    code: 'PermissionDenied',
    metadata: { permission: 'ADMINISTER' },
  })
  const events = await metadata.eventsOf(async () => {
    const { promotion } = await room.bob.promotions.withdrawPromotion({ id: first.id, reason: 'mistake' })
    expect(promotion).toMatchObject({ state: PromotionState.WITHDRAWN, closer: room.bob.principal })
  })
  expect(events).toMatchObject([{ type: 'promotion.withdrawn.v1', reason: 'mistake' }])
  const second = (await room.ask(room.bob, 1)).promotion!
  expect((await admin.promotions.withdrawPromotion({ id: second.id })).promotion!.closer).toBe('admin')
})

test('it ends when its time is over, which is told of later and holds at once', async () => {
  const room = await startRoom(production({ approvalsRequired: 1, expiry: { seconds: 60n } }))
  const { promotion } = await room.ask(room.bob, 1)
  const { id, requestTime, expireTime } = promotion!
  expect(expireTime!.seconds - requestTime!.seconds).toBe(60n)
  // What a minute does. The row itself is governed, so its event comes with it.
  await metadata.sql(`begin; set local session_replication_role = replica;
    update metadata.promotion set expire_time = now() where id = '${id}'; commit`)
  expect(await stateOf(id)).toBe(PromotionState.EXPIRED)
  const late = room.carol.promotions.approvePromotion({ id, reason: 'late' })
  expect(await refusalOf(late)).toMatchObject({ reason: 'PROMOTION_CLOSED', metadata: { state: 'EXPIRED' } })
  const listed = await admin.promotions.listPromotions({ namespace: room.namespace, state: PromotionState.EXPIRED })
  expect(listed.promotions).toMatchObject([{ id }])
  const told = async () =>
    (
      await metadata.sql<{ event: object }>(`select event from metadata.outbox where resource_id = '${id}'
      and event ->> 'type' = 'promotion.expired.v1'`)
    ).length
  await expect.poll(told, { timeout: 30_000 }).toBe(1)
  expect((await admin.promotions.getPromotion({ id })).promotion).toMatchObject({
    state: PromotionState.EXPIRED,
    closer: 'service:metadata',
  })
  expect((await room.ask(room.bob, 1)).promotion!.state).toBe(PromotionState.PENDING_APPROVAL)
})

test('it ends when what it is bound to is no more: alias, gate, version or model', async () => {
  const room = await startRoom(production({ approvalsRequired: 1 }))
  const { namespace, carol, bob } = room
  const model = byName(room.model, namespace)
  const voided = async (id: string, because: string, work: () => Promise<unknown>): Promise<void> => {
    const events = await metadata.eventsOf(work)
    const found = events.filter(({ type, resource }) => type === 'promotion.voided.v1' && resource.id === id)
    expect([because, found]).toMatchObject([because, [{ details: { because } }]])
    expect(await stateOf(id)).toBe(PromotionState.VOIDED)
    const late = carol.promotions.approvePromotion({ id, reason: 'late' })
    expect(await refusalOf(late)).toMatchObject({ reason: 'PROMOTION_CLOSED', metadata: { state: 'VOIDED' } })
  }
  const [one, two] = [(await room.ask(bob, 1)).promotion!, (await room.ask(bob, 2)).promotion!]
  await voided(two.id, 'ALIAS_MOVED', () => carol.promotions.approvePromotion({ id: one.id, reason: 'good' }))
  const rules = production({ approvalsRequired: 2 })
  const three = (await room.ask(bob, 3, 1)).promotion!
  await voided(three.id, 'GATE_CHANGED', () => admin.gates.updateGate({ namespace, name: 'gate', rules }))
  const four = (await room.ask(bob, 3, 1)).promotion!
  const pattern = { aliasPattern: 'prod*', approvalsRequired: 1 }
  await voided(four.id, 'GATE_CHANGED', () => admin.gates.createGate({ model, name: 'another', rules: pattern }))
  const five = (await room.ask(bob, 3, 1)).promotion!
  await voided(five.id, 'GATE_CHANGED', () => admin.gates.deleteGate({ namespace, name: 'another' }))
  const six = (await room.ask(bob, 3, 1)).promotion!
  const version = numbered(room.model, 3, namespace)
  await voided(six.id, 'VERSION_DELETED', () => admin.versions.deleteVersion({ version }))
  const target = { name: 'production', target: { case: 'remove' as const, value: true }, expectedNumber: 1 }
  const seven = (await room.ask(bob, 2, 1)).promotion!
  await voided(seven.id, 'ALIAS_MOVED', () =>
    admin.aliases.setAliases({ model, targets: [target], breakGlass: true, reason: 'incident' }),
  )
  const eight = (await room.ask(bob, 2)).promotion!
  await admin.models.archiveModel({ model })
  const archived = carol.promotions.approvePromotion({ id: eight.id, reason: 'late' })
  expect((await refusalOf(archived)).reason).toBe('MODEL_ARCHIVED')
  await voided(eight.id, 'MODEL_DELETED', () => admin.models.deleteModel({ model }))
})

test('it does not end by a gate that guards other aliases', async () => {
  const room = await startRoom(production({ approvalsRequired: 1 }))
  const { id } = (await room.ask(room.bob, 1)).promotion!
  const { namespace } = room
  await admin.gates.createGate({ namespace, name: 'staging', rules: { aliasPattern: 'staging', approvalsRequired: 1 } })
  expect(await stateOf(id)).toBe(PromotionState.PENDING_APPROVAL)
})
