// Promotions from the request through the votes to the alias move.
import { describe, expect, test } from 'vitest'
import { PromotionState } from '#gen/modelkeep/metadata/v1/promotion_pb.ts'
import {
  byName,
  makeModel,
  makeNamespace,
  newName,
  numbered,
  startMetadata,
  type Clients,
} from '../../support/metadata.ts'
import { production, createNamespacesFor } from '../../support/promotion-namespace.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata

const startNamespace = createNamespacesFor(metadata)

test('applies a promotion and moves the alias with the last required approval', async () => {
  const room = await startNamespace(production({ approvalsRequired: 2 }))
  const { namespace, model, digests, alice, bob, carol, dave } = room
  const events = await metadata.eventsOf(async () => {
    const { promotion } = await room.request(bob, 2)
    expect(promotion).toMatchObject({
      namespace,
      model,
      alias: 'production',
      number: 2,
      digest: digests[1],
      fromNumber: 0,
      fromDigest: '',
      state: PromotionState.PENDING_APPROVAL,
      requester: bob.principal,
      reason: 'it is better',
      decisions: [{ gate: 'gate', revision: 1, approvalsRequired: 2, approvalsGiven: 0 }],
      votes: [],
      closer: '',
    })
    const { id } = promotion!
    const first = await carol.promotions.approvePromotion({ id, reason: 'measured' })
    expect(first.promotion).toMatchObject({
      state: PromotionState.PENDING_APPROVAL,
      decisions: [{ approvalsGiven: 1 }],
      votes: [{ principal: carol.principal, approved: true, reason: 'measured' }],
    })
    expect(await room.pointsAt()).toBe(0)
    const last = await dave.promotions.approvePromotion({ id, reason: 'read the card' })
    expect(last.promotion).toMatchObject({
      state: PromotionState.APPLIED,
      closer: dave.principal,
      closeReason: 'read the card',
      decisions: [{ approvalsGiven: 2 }],
    })
    expect(await room.pointsAt()).toBe(2)
  })
  const target = { alias: 'production', number: 2 }
  expect(events).toMatchObject([
    {
      type: 'promotion.requested.v1',
      details: { ...target, from: 0, creator: alice.principal, gates: [{ revision: 1 }] },
    },
    { type: 'promotion.approved.v1', reason: 'measured', actor: { principal: carol.principal }, details: target },
    { type: 'promotion.approved.v1', actor: { principal: dave.principal }, afterDigest: digests[1] },
    { type: 'promotion.applied.v1', details: { ...target, approvers: [carol.principal, dave.principal] } },
    { type: 'alias.moved.v1', reason: 'it is better', details: { from: 0, to: 2 } },
  ])
  expect(events[4]!.details!['promotion_id']).toBe(events[0]!.resource.id)
  const { moves } = await admin.aliases.listAliasMoves({ model: byName(model, namespace) })
  expect(moves).toMatchObject([
    { fromNumber: 0, toNumber: 2, mover: dave.principal, promotionId: events[0]!.resource.id, forced: false },
  ])
})

test('does not count the approval of a principal who lost the role, and says so in the vote', async () => {
  const room = await startNamespace(production({ approvalsRequired: 2 }))
  const { namespace, carol, dave } = room
  const erin = await metadata.member({ [namespace]: 'APPROVER' })
  const { id } = (await room.request(room.bob, 1)).promotion!
  await carol.promotions.approvePromotion({ id, reason: 'good' })
  await admin.identity.revokeRole({ principal: carol.principal, namespace, reason: 'has left' })
  const { promotion } = await dave.promotions.approvePromotion({ id, reason: 'good' })
  expect(promotion).toMatchObject({
    state: PromotionState.PENDING_APPROVAL,
    decisions: [{ approvalsGiven: 1 }],
    votes: [
      { principal: carol.principal, counts: false },
      { principal: dave.principal, counts: true },
    ],
  })
  const events = await metadata.eventsOf(() => erin.promotions.approvePromotion({ id, reason: 'good' }))
  expect(events[1]).toMatchObject({
    type: 'promotion.applied.v1',
    details: { approvers: [dave.principal, erin.principal] },
  })
  await admin.identity.revokeRole({ principal: dave.principal, namespace })
  const later = await admin.promotions.getPromotion({ id })
  expect(later.promotion!.votes.map(({ counts }) => counts)).toEqual([false, true, true])
  expect(later.promotion!.decisions).toMatchObject([{ approvalsGiven: 2 }])
})

test('shows a promotion under the current name of its model', async () => {
  const room = await startNamespace(production({ approvalsRequired: 1 }))
  const { id } = (await room.request(room.bob, 1)).promotion!
  const renamed = `${room.model}-anew`
  await admin.models.renameModel({ model: byName(room.model, room.namespace), newName: renamed })
  const events = await metadata.eventsOf(async () => {
    const { promotion } = await room.carol.promotions.approvePromotion({ id, reason: 'good' })
    expect(promotion!.model).toBe(renamed)
  })
  const name = `${room.namespace}/${renamed}@production`
  expect(events.map(({ type, resource }) => [type, resource.name])).toEqual([
    ['promotion.approved.v1', name],
    ['promotion.applied.v1', name],
    ['alias.moved.v1', name],
  ])
})

describe('who may vote', () => {
  test('rejects a vote by the requester, by the creator of the version, by a principal whom no gate names, and a second vote', async () => {
    const namespace = await makeNamespace(admin)
    const [maker, requester, carol, eve] = await Promise.all(
      Array.from({ length: 4 }, () => metadata.member({ [namespace]: 'APPROVER' })),
    )
    const reader = await metadata.member({ [namespace]: 'CONTRIBUTOR' })
    const model = newName()
    await makeModel(maker!, model, 1, namespace)
    const approvers = [maker!.principal, requester!.principal, carol!.principal, reader.principal]
    const rules = production({ approvalsRequired: 2, approvers })
    await admin.gates.createGate({ namespace, name: 'gate', rules })
    const version = numbered(model, 1, namespace)
    const response = await requester!.promotions.requestPromotion({
      version,
      alias: 'production',
      reason: 'it is better',
    })
    const { id } = response.promotion!
    const approve = (who: Clients) => who.promotions.approvePromotion({ id, reason: 'good' })
    const reject = (who: Clients) => who.promotions.rejectPromotion({ id, reason: 'bad' })
    for (const decide of [approve, reject]) {
      for (const [who, because] of [
        [requester!, 'REQUESTER'],
        [maker!, 'CREATOR'],
        [eve!, 'NOT_ASKED'],
      ] as const) {
        expect([because, await refusalOf(decide(who))]).toMatchObject([
          because,
          { code: 'FailedPrecondition', reason: 'APPROVAL_NOT_ALLOWED', metadata: { promotion: id, because } },
        ])
      }
      expect((await refusalOf(decide(reader))).metadata['permission']).toBe('APPROVE')
    }
    await approve(carol!)
    expect((await refusalOf(approve(carol!))).metadata['because']).toBe('VOTED')
    expect((await refusalOf(reject(carol!))).metadata['because']).toBe('VOTED')
    // An administrator who is not listed as an approver cannot approve either.
    expect((await refusalOf(approve(admin))).metadata['because']).toBe('NOT_ASKED')
    const { promotion } = await admin.promotions.getPromotion({ id })
    expect(promotion!.state).toBe(PromotionState.PENDING_APPROVAL)
  })

  test('counts for each gate the approvals of its own approvers', async () => {
    const room = await startNamespace(production({ approvalsRequired: 1 }))
    const { namespace, carol, dave } = room
    const rules = production({ approvalsRequired: 1, approvers: [dave.principal] })
    await admin.gates.createGate({ namespace, name: 'only-dave', rules })
    const { id } = (await room.request(room.bob, 1)).promotion!
    const { promotion } = await carol.promotions.approvePromotion({ id, reason: 'good' })
    expect(promotion).toMatchObject({
      state: PromotionState.PENDING_APPROVAL,
      decisions: [
        { gate: 'gate', approvalsGiven: 1 },
        { gate: 'only-dave', approvalsGiven: 0 },
      ],
    })
    await dave.promotions.approvePromotion({ id, reason: 'good' })
    expect(await room.pointsAt()).toBe(1)
  })
})
