// The way of a promotion: asked for, decided on, applied.
import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { Verdict } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { ConditionOutcome, type GateRules } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
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
import { production, roomsOf } from '../../support/promotion-room.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata

const startRoom = roomsOf(metadata)

test('a promotion waits for its approvals, and moves the alias with the last of them', async () => {
  const room = await startRoom(production({ approvalsRequired: 2 }))
  const { namespace, model, digests, alice, bob, carol, dave } = room
  const events = await metadata.eventsOf(async () => {
    const { promotion } = await room.ask(bob, 2)
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

test('where no approval is asked for, it is applied at once; also where nothing guards the alias', async () => {
  const room = await startRoom(
    production({ conditions: [{ expression: 'version.number > 1', sentence: 'not the first' }] }),
  )
  const { promotion } = await room.ask(room.bob, 2)
  expect(promotion).toMatchObject({
    state: PromotionState.APPLIED,
    closer: room.bob.principal,
    decisions: [{ conditions: [{ sentence: 'not the first', outcome: ConditionOutcome.TRUE }] }],
  })
  expect((await room.ask(room.bob, 3, 0, 'staging')).promotion).toMatchObject({
    state: PromotionState.APPLIED,
    decisions: [],
  })
  expect([await room.pointsAt(), await room.pointsAt('staging')]).toEqual([2, 3])
})

test('conditions that do not hold are told, each with its sentence, and nothing is kept', async () => {
  const conditions = [
    { expression: 'version.number == 2', sentence: 'it is the second' },
    { expression: 'latest["fairness"].verdict == "PASSED"', sentence: 'the fairness suite passed' },
    { expression: 'current != null', sentence: 'something is in production' },
  ]
  const room = await startRoom(production({ conditions }))
  const events = await metadata.eventsOf(async () => {
    expect(await refusalOf(room.ask(room.bob, 2))).toMatchObject({
      code: 'FailedPrecondition',
      reason: 'GATE_UNMET',
      metadata: { alias: 'production', unmet: '2' },
      preconditions: [
        {
          type: 'gate',
          subject: conditions[1]!.expression,
          description: expect.stringContaining('fairness suite passed ('),
        },
        { type: 'gate', subject: conditions[2]!.expression, description: 'something is in production' },
      ],
    })
  })
  expect(events).toEqual([])
  expect((await admin.promotions.listPromotions({ namespace: room.namespace })).promotions).toEqual([])
})

test('the newest evaluation of a suite counts, and those that were looked at are told', async () => {
  const conditions = [{ expression: 'latest["fairness"].verdict == "PASSED"', sentence: 'the fairness suite passed' }]
  const room = await startRoom(production({ conditions, approvalsRequired: 1 }))
  const record = async (verdict: Verdict): Promise<string> => {
    const version = numbered(room.model, 1, room.namespace)
    const facts = { suite: 'fairness', verdict, metrics: [{ name: 'gap', value: 0.1 }] }
    return (await room.bob.evaluations.createEvaluation({ version, facts })).evaluation!.id
  }
  const passed = await record(Verdict.PASSED)
  const events = await metadata.eventsOf(() => room.ask(room.bob, 1))
  expect(events[0]!.details).toMatchObject({ evaluations: [passed], gates: [{ conditions: ['TRUE'] }] })
  await record(Verdict.FAILED)
  const id = events[0]!.resource.id
  const late = room.carol.promotions.approvePromotion({ id, reason: 'fine' })
  expect(await refusalOf(late)).toMatchObject({ reason: 'GATE_UNMET' })
  expect((await admin.promotions.getPromotion({ id })).promotion).toMatchObject({
    state: PromotionState.PENDING_APPROVAL,
    votes: [],
  })
  await record(Verdict.PASSED)
  await room.carol.promotions.approvePromotion({ id, reason: 'fine now' })
  expect(await room.pointsAt()).toBe(1)
})

test('who may not approve any more does not count, and is shown not to', async () => {
  const room = await startRoom(production({ approvalsRequired: 2 }))
  const { namespace, carol, dave } = room
  const erin = await metadata.member({ [namespace]: 'APPROVER' })
  const { id } = (await room.ask(room.bob, 1)).promotion!
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

test('a promotion goes by the name that its model has', async () => {
  const room = await startRoom(production({ approvalsRequired: 1 }))
  const { id } = (await room.ask(room.bob, 1)).promotion!
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

describe('nobody decides on their own work', () => {
  test('not who asked, not who made the version, not whom no gate asks, nobody twice', async () => {
    const namespace = await makeNamespace(admin)
    const [maker, asker, carol, eve] = await Promise.all(
      Array.from({ length: 4 }, () => metadata.member({ [namespace]: 'APPROVER' })),
    )
    const reader = await metadata.member({ [namespace]: 'CONTRIBUTOR' })
    const model = newName()
    await makeModel(maker!, model, 1, namespace)
    const approvers = [maker!.principal, asker!.principal, carol!.principal, reader.principal]
    const rules = production({ approvalsRequired: 2, approvers })
    await admin.gates.createGate({ namespace, name: 'gate', rules })
    const version = numbered(model, 1, namespace)
    const asked = await asker!.promotions.requestPromotion({ version, alias: 'production', reason: 'it is better' })
    const { id } = asked.promotion!
    const approve = (who: Clients) => who.promotions.approvePromotion({ id, reason: 'good' })
    const reject = (who: Clients) => who.promotions.rejectPromotion({ id, reason: 'bad' })
    for (const decide of [approve, reject]) {
      for (const [who, because] of [
        [asker!, 'REQUESTER'],
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
    // An admin is asked like everybody else.
    expect((await refusalOf(approve(admin))).metadata['because']).toBe('NOT_ASKED')
    const { promotion } = await admin.promotions.getPromotion({ id })
    expect(promotion!.state).toBe(PromotionState.PENDING_APPROVAL)
  })

  test('of several gates each counts its own approvers', async () => {
    const room = await startRoom(production({ approvalsRequired: 1 }))
    const { namespace, carol, dave } = room
    const rules = production({ approvalsRequired: 1, approvers: [dave.principal] })
    await admin.gates.createGate({ namespace, name: 'only-dave', rules })
    const { id } = (await room.ask(room.bob, 1)).promotion!
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

test('the same twice, what is there already, and what the caller has not seen are refused', async () => {
  const room = await startRoom(production({ approvalsRequired: 1 }))
  const { promotion } = await room.ask(room.bob, 1)
  expect(await refusalOf(room.ask(room.alice, 1))).toMatchObject({
    code: 'AlreadyExists',
    reason: 'PROMOTION_EXISTS',
    metadata: { promotion: promotion!.id },
  })
  await room.carol.promotions.approvePromotion({ id: promotion!.id, reason: 'good' })
  expect((await refusalOf(room.ask(room.bob, 1, 1))).fields).toEqual(['version'])
  expect(await refusalOf(room.ask(room.bob, 2, 0))).toMatchObject({
    reason: 'ALIAS_MOVED',
    metadata: { alias: 'production', expected: '0', current: '1' },
  })
  expect((await refusalOf(room.ask(room.bob, 9, 1))).reason).toBe('VERSION_NOT_FOUND')
})

test('bad input names the field', async () => {
  const room = await startRoom()
  const version = numbered(room.model, 1, room.namespace)
  const good = { version, alias: 'production', reason: 'it is better' }
  const ask = (bad: object) => room.bob.promotions.requestPromotion({ ...good, ...bad })
  for (const [bad, field] of [
    [{ version: undefined }, 'version'],
    [{ alias: '' }, 'alias'],
    [{ alias: 'latest' }, 'alias'],
    [{ expectedNumber: -1 }, 'expected_number'],
    [{ reason: '' }, 'reason'],
    [{ reason: ' \n' }, 'reason'],
    [{ reason: 'a'.repeat(2049) }, 'reason'],
    [{ requestId: 'x' }, 'request_id'],
  ] as const) {
    expect([field, (await refusalOf(ask(bad))).fields]).toEqual([field, [field]])
  }
  const { promotions } = admin
  const id = randomUUID()
  for (const call of [
    () => promotions.approvePromotion({ id: 'x', reason: 'a' }),
    () => promotions.rejectPromotion({ id: 'x', reason: 'a' }),
    () => promotions.withdrawPromotion({ id: 'x' }),
    () => promotions.getPromotion({ id: '' }),
  ]) {
    expect((await refusalOf(call())).fields).toEqual(['id'])
  }
  expect((await refusalOf(promotions.approvePromotion({ id }))).fields).toEqual(['reason'])
  expect((await refusalOf(promotions.rejectPromotion({ id }))).fields).toEqual(['reason'])
  expect((await refusalOf(promotions.getPromotion({ id }))).reason).toBe('PROMOTION_NOT_FOUND')
  expect((await refusalOf(promotions.listPromotions({ state: 99 as PromotionState }))).fields).toEqual(['state'])
  const both = { namespace: room.namespace, model: byName(room.model, room.namespace) }
  expect((await refusalOf(promotions.listPromotions(both))).fields).toEqual(['namespace'])
})

test('a promotion of a namespace that the caller may not read is not there', async () => {
  const room = await startRoom(production({ approvalsRequired: 1 }))
  const { id } = (await room.ask(room.bob, 1)).promotion!
  const stranger = await metadata.member({ default: 'ADMIN' })
  for (const call of [
    () => stranger.promotions.getPromotion({ id }),
    () => stranger.promotions.approvePromotion({ id, reason: 'good' }),
    () => stranger.promotions.withdrawPromotion({ id }),
  ]) {
    expect((await refusalOf(call())).reason).toBe('PROMOTION_NOT_FOUND')
  }
  const { namespace } = room
  expect((await refusalOf(stranger.promotions.listPromotions({ namespace }))).code).toBe('PermissionDenied')
})

test('promotions are listed by namespace, model and state, the newest first, in pages', async () => {
  const room = await startRoom(production({ approvalsRequired: 1 }))
  const { namespace } = room
  const ids: string[] = []
  for (const number of [1, 2, 3]) ids.unshift((await room.ask(room.bob, number)).promotion!.id)
  await room.bob.promotions.withdrawPromotion({ id: ids[1]! })
  const list = async (question: object): Promise<string[]> => {
    const found: string[] = []
    let pageToken = ''
    do {
      const page = await room.bob.promotions.listPromotions({ pageSize: 2, pageToken, ...question })
      found.push(...page.promotions.map(({ id }) => id))
      pageToken = page.nextPageToken
    } while (pageToken !== '')
    return found
  }
  expect(await list({ namespace })).toEqual(ids)
  expect(await list({ model: byName(room.model, namespace) })).toEqual(ids)
  expect(await list({ namespace, state: PromotionState.PENDING_APPROVAL })).toEqual([ids[0], ids[2]])
  expect(await list({ namespace, state: PromotionState.WITHDRAWN })).toEqual([ids[1]])
  const { nextPageToken: pageToken } = await room.bob.promotions.listPromotions({ namespace, pageSize: 1 })
  const foreign = room.bob.promotions.listPromotions({ namespace, pageToken, state: PromotionState.APPLIED })
  expect((await refusalOf(foreign)).fields).toEqual(['page_token'])
})

test('rules of a gate as they were asked are kept with the promotion', async () => {
  const sentence = 'it has a number'
  const room = await startRoom(production({ conditions: [{ expression: 'version.number > 0', sentence }] }))
  const { promotion } = await room.ask(room.bob, 1)
  await admin.gates.deleteGate({ namespace: room.namespace, name: 'gate' })
  const { promotion: later } = await room.bob.promotions.getPromotion({ id: promotion!.id })
  expect(later!.decisions).toEqual(promotion!.decisions)
  expect(later!.decisions[0]!.conditions[0]).toMatchObject({ sentence } satisfies Partial<GateRules['conditions'][0]>)
})
