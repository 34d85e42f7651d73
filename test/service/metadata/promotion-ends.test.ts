// Promotions that end without being applied: rejected, withdrawn, expired, voided.
import { expect, test } from 'vitest'
import { PromotionState } from '#gen/modelkeep/metadata/v1/promotion_pb.ts'
import { byName, numbered, removalOf, startMetadata } from '../../support/metadata.ts'
import { production, createNamespacesFor } from '../../support/promotion-namespace.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata
const startNamespace = createNamespacesFor(metadata)

const stateOf = async (id: string) => (await admin.promotions.getPromotion({ id })).promotion!.state

test('closes a promotion when an approver rejects it', async () => {
  const room = await startNamespace(production({ approvalsRequired: 1 }))
  const { id } = (await room.request(room.bob, 1)).promotion!
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

test('does not count a rejection as an approval; its principal can approve only a new request', async () => {
  const room = await startNamespace(production({ approvalsRequired: 2 }))
  const { bob, carol, dave } = room
  const { id } = (await room.request(bob, 1)).promotion!
  await carol.promotions.approvePromotion({ id, reason: 'good' })
  const { promotion } = await dave.promotions.rejectPromotion({ id, reason: 'too slow' })
  expect(promotion).toMatchObject({
    state: PromotionState.REJECTED,
    decisions: [{ approvalsRequired: 2, approvalsGiven: 1 }],
    votes: [
      { principal: carol.principal, approved: true, counts: true },
      { principal: dave.principal, approved: false, counts: true },
    ],
  })
  for (const who of [carol, dave]) {
    const late = who.promotions.approvePromotion({ id, reason: 'good after all' })
    expect(await refusalOf(late)).toMatchObject({ reason: 'PROMOTION_CLOSED', metadata: { state: 'REJECTED' } })
  }
  expect((await admin.promotions.getPromotion({ id })).promotion).toEqual(promotion)
  const anew = (await room.request(bob, 1)).promotion!
  expect(anew).toMatchObject({ votes: [], decisions: [{ approvalsGiven: 0 }] })
  await dave.promotions.approvePromotion({ id: anew.id, reason: 'fast now' })
  expect(await room.pointsAt()).toBe(0)
  await carol.promotions.approvePromotion({ id: anew.id, reason: 'good' })
  expect(await room.pointsAt()).toBe(1)
})

test('lets only the requester and administrators withdraw a promotion, which closes it', async () => {
  const room = await startNamespace(production({ approvalsRequired: 1 }))
  const first = (await room.request(room.bob, 1)).promotion!
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
  const second = (await room.request(room.bob, 1)).promotion!
  expect((await admin.promotions.withdrawPromotion({ id: second.id })).promotion!.closer).toBe('admin')
})

test('shows a promotion as expired at once, and records the event later', async () => {
  const room = await startNamespace(production({ approvalsRequired: 1, expiry: { seconds: 60n } }))
  const { promotion } = await room.request(room.bob, 1)
  const { id, requestTime, expireTime } = promotion!
  expect(expireTime!.seconds - requestTime!.seconds).toBe(60n)
  // Moves the row past its expiry; a trigger would otherwise require an event.
  await metadata.sql(`begin; set local session_replication_role = replica;
    update metadata.promotion set expire_time = now() where id = '${id}'; commit`)
  expect(await stateOf(id)).toBe(PromotionState.EXPIRED)
  const late = room.carol.promotions.approvePromotion({ id, reason: 'late' })
  expect(await refusalOf(late)).toMatchObject({ reason: 'PROMOTION_CLOSED', metadata: { state: 'EXPIRED' } })
  const listed = await admin.promotions.listPromotions({ namespace: room.namespace, state: PromotionState.EXPIRED })
  expect(listed.promotions).toMatchObject([{ id }])
  const expiries = async () =>
    (
      await metadata.sql<{ event: object }>(`select event from metadata.outbox where resource_id = '${id}'
      and event ->> 'type' = 'promotion.expired.v1'`)
    ).length
  await expect.poll(expiries, { timeout: 30_000 }).toBe(1)
  expect((await admin.promotions.getPromotion({ id })).promotion).toMatchObject({
    state: PromotionState.EXPIRED,
    closer: 'service:metadata',
  })
  expect((await room.request(room.bob, 1)).promotion!.state).toBe(PromotionState.PENDING_APPROVAL)
})

/** Lets promotions expire and makes the database reject the record of it; the service retries every five seconds. */
async function expireUnrecorded(ids: string[]): Promise<void> {
  const list = ids.map((id) => `'${id}'`).join(', ')
  await metadata.sql(`create or replace function metadata.refuse_expiry() returns trigger language plpgsql
      as $$ begin raise exception 'held up by a test'; end $$;
    create trigger refuse_expiry before update on metadata.promotion for each row
      when (new.state = 'EXPIRED') execute function metadata.refuse_expiry();
    begin; set local session_replication_role = replica;
    update metadata.promotion set expire_time = now() where id in (${list}); commit`)
}

test('rejects votes on an expired promotion, also before the service has recorded its end', async () => {
  const room = await startNamespace(production({ approvalsRequired: 1 }))
  const { namespace, bob, carol } = room
  const model = byName(room.model, namespace)
  const ids = [(await room.request(bob, 1)).promotion!.id, (await room.request(bob, 2)).promotion!.id]
  const id = ids[0]!
  await expireUnrecorded(ids)
  const list = async (state: PromotionState) =>
    (await bob.promotions.listPromotions({ model, state })).promotions.map((found) => found.id)
  const decide = [
    () => carol.promotions.approvePromotion({ id, reason: 'late' }),
    () => carol.promotions.rejectPromotion({ id, reason: 'late' }),
    () => bob.promotions.withdrawPromotion({ id, reason: 'late' }),
    () => admin.promotions.withdrawPromotion({ id, reason: 'late' }),
  ]
  const requireOver = async (): Promise<void> => {
    for (const call of decide) {
      expect(await refusalOf(call())).toMatchObject({ reason: 'PROMOTION_CLOSED', metadata: { state: 'EXPIRED' } })
    }
    expect(await list(PromotionState.EXPIRED)).toEqual(ids.toReversed())
    expect((await bob.promotions.getPromotion({ id })).promotion).toMatchObject({
      state: PromotionState.EXPIRED,
      votes: [],
    })
  }
  await requireOver()
  expect(await list(PromotionState.PENDING_APPROVAL)).toEqual([])
  const { promotions } = await bob.promotions.listPromotions({ model })
  expect(promotions.map(({ state }) => state)).toEqual([PromotionState.EXPIRED, PromotionState.EXPIRED])
  const events = await metadata.eventsOf(async () => {
    const anew = (await room.request(bob, 1)).promotion!
    expect(await list(PromotionState.PENDING_APPROVAL)).toEqual([anew.id])
    await carol.promotions.approvePromotion({ id: anew.id, reason: 'in time' })
    await admin.gates.deleteGate({ namespace, name: 'gate' })
  })
  expect(events.map(({ type }) => type)).not.toContain('promotion.voided.v1')
  expect(await room.pointsAt()).toBe(1)
  await requireOver()
  await metadata.sql('drop trigger refuse_expiry on metadata.promotion')
  const closers = async () =>
    metadata.sql<{ closer: string }>(`select closer from metadata.promotion where state = 'EXPIRED'
      and namespace = '${namespace}'`)
  await expect.poll(closers, { timeout: 20_000 }).toEqual(ids.map(() => ({ closer: 'service:metadata' })))
  await requireOver()
})

test('voids a promotion when its alias moves, its gate changes, or its version or model is deleted', async () => {
  const room = await startNamespace(production({ approvalsRequired: 1 }))
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
  const [one, two] = [(await room.request(bob, 1)).promotion!, (await room.request(bob, 2)).promotion!]
  await voided(two.id, 'ALIAS_MOVED', () => carol.promotions.approvePromotion({ id: one.id, reason: 'good' }))
  const rules = production({ approvalsRequired: 2 })
  const three = (await room.request(bob, 3, 1)).promotion!
  await voided(three.id, 'GATE_CHANGED', () => admin.gates.updateGate({ namespace, name: 'gate', rules }))
  const four = (await room.request(bob, 3, 1)).promotion!
  const pattern = { aliasPattern: 'prod*', approvalsRequired: 1 }
  await voided(four.id, 'GATE_CHANGED', () => admin.gates.createGate({ model, name: 'another', rules: pattern }))
  const five = (await room.request(bob, 3, 1)).promotion!
  await voided(five.id, 'GATE_CHANGED', () => admin.gates.deleteGate({ namespace, name: 'another' }))
  const six = (await room.request(bob, 3, 1)).promotion!
  const version = numbered(room.model, 3, namespace)
  await voided(six.id, 'VERSION_DELETED', () => admin.versions.deleteVersion({ version }))
  const targets = [removalOf('production', 1)]
  const seven = (await room.request(bob, 2, 1)).promotion!
  await voided(seven.id, 'ALIAS_MOVED', () =>
    admin.aliases.setAliases({ model, targets, breakGlass: true, reason: 'incident' }),
  )
  const eight = (await room.request(bob, 2)).promotion!
  await admin.models.archiveModel({ model })
  const archived = carol.promotions.approvePromotion({ id: eight.id, reason: 'late' })
  expect((await refusalOf(archived)).reason).toBe('MODEL_ARCHIVED')
  await voided(eight.id, 'MODEL_DELETED', () => admin.models.deleteModel({ model }))
})

test('leaves a promotion open when a gate for other aliases is created', async () => {
  const room = await startNamespace(production({ approvalsRequired: 1 }))
  const { id } = (await room.request(room.bob, 1)).promotion!
  const { namespace } = room
  await admin.gates.createGate({ namespace, name: 'staging', rules: { aliasPattern: 'staging', approvalsRequired: 1 } })
  expect(await stateOf(id)).toBe(PromotionState.PENDING_APPROVAL)
})
