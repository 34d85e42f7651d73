// Conditions of gates on promotions: when they are evaluated, and which evaluations count.
import { expect, test } from 'vitest'
import { Verdict } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { ConditionOutcome, type GateRules } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { PromotionState } from '#gen/modelkeep/metadata/v1/promotion_pb.ts'
import { numbered, startMetadata } from '../../support/metadata.ts'
import { production, createNamespacesFor } from '../../support/promotion-namespace.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata

const startNamespace = createNamespacesFor(metadata)

test('applies a promotion at once where no approval is required or no gate guards the alias', async () => {
  const room = await startNamespace(
    production({ conditions: [{ expression: 'version.number > 1', sentence: 'not the first' }] }),
  )
  const { promotion } = await room.request(room.bob, 2)
  expect(promotion).toMatchObject({
    state: PromotionState.APPLIED,
    closer: room.bob.principal,
    decisions: [{ conditions: [{ sentence: 'not the first', outcome: ConditionOutcome.TRUE }] }],
  })
  expect((await room.request(room.bob, 3, 0, 'staging')).promotion).toMatchObject({
    state: PromotionState.APPLIED,
    decisions: [],
  })
  expect([await room.pointsAt(), await room.pointsAt('staging')]).toEqual([2, 3])
})

test('rejects a request with the sentence of each unmet condition, and stores nothing', async () => {
  const conditions = [
    { expression: 'version.number == 2', sentence: 'it is the second' },
    { expression: 'latest["fairness"].verdict == "PASSED"', sentence: 'the fairness suite passed' },
    { expression: 'current != null', sentence: 'something is in production' },
  ]
  const room = await startNamespace(production({ conditions }))
  const events = await metadata.eventsOf(async () => {
    expect(await refusalOf(room.request(room.bob, 2))).toMatchObject({
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

test('evaluates the newest evaluation of a suite, and records in the event which ones it used', async () => {
  const conditions = [{ expression: 'latest["fairness"].verdict == "PASSED"', sentence: 'the fairness suite passed' }]
  const room = await startNamespace(production({ conditions, approvalsRequired: 1 }))
  const record = async (verdict: Verdict): Promise<string> => {
    const version = numbered(room.model, 1, room.namespace)
    const facts = { suite: 'fairness', verdict, metrics: [{ name: 'gap', value: 0.1 }] }
    return (await room.bob.evaluations.createEvaluation({ version, facts })).evaluation!.id
  }
  const passed = await record(Verdict.PASSED)
  const events = await metadata.eventsOf(() => room.request(room.bob, 1))
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

test('stores the rules that a promotion was requested under, also after the gate is deleted', async () => {
  const sentence = 'it has a number'
  const room = await startNamespace(production({ conditions: [{ expression: 'version.number > 0', sentence }] }))
  const { promotion } = await room.request(room.bob, 1)
  await admin.gates.deleteGate({ namespace: room.namespace, name: 'gate' })
  const { promotion: later } = await room.bob.promotions.getPromotion({ id: promotion!.id })
  expect(later!.decisions).toEqual(promotion!.decisions)
  expect(later!.decisions[0]!.conditions[0]).toMatchObject({ sentence } satisfies Partial<GateRules['conditions'][0]>)
})
