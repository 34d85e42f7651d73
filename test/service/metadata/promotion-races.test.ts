// Concurrent votes, moves and gate changes on two replicas: in the order of the log, every rule holds.
import { expect, test } from 'vitest'
import { replayGovernance } from '../../../clients/verifier/replay/replay.ts'
import { PromotionState } from '#gen/modelkeep/metadata/v1/promotion_pb.ts'
import { byName, makeModel, makeNamespace, newName, numbered, pointTo, startMetadata } from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin, replica } = metadata

const rules = (approvalsRequired: number) => ({
  aliasPattern: 'production',
  approvalsRequired,
  conditions: [{ expression: 'version.number > 0', sentence: 'it has a number' }],
})
const settled = async (calls: Promise<unknown>[]): Promise<string[]> => {
  const outcomes = await Promise.allSettled(calls)
  return Promise.all(
    outcomes.map(async (outcome) =>
      outcome.status === 'fulfilled' ? 'done' : (await refusalOf(Promise.reject(outcome.reason as Error))).reason,
    ),
  )
}

async function startNamespace(versions: number, members: number) {
  const namespace = await makeNamespace(admin)
  const name = newName()
  await makeModel(admin, name, versions, namespace)
  const approvers = await Promise.all(
    Array.from({ length: members }, () => metadata.member({ [namespace]: 'APPROVER' })),
  )
  const request = (number: number, expectedNumber: number) =>
    admin.promotions.requestPromotion({
      version: numbered(name, number, namespace),
      alias: 'production',
      expectedNumber,
      reason: 'race',
    })
  return { namespace, name, model: byName(name, namespace), approvers, request }
}

/** The broken rules that a replay of all events so far finds. */
async function findBroken(): Promise<readonly string[]> {
  const rows = await metadata.sql<{ event: object; time: string }>(
    `select event, to_char(occur_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as time
      from metadata.outbox order by sequence`,
  )
  const replay = replayGovernance()
  for (const [index, { event, time }] of rows.entries()) {
    replay.apply(index, { ...event, producer: 'metadata', occurTime: time })
  }
  return replay.broken
}

test('counts as many of ten concurrent approvals as the gate requires, and moves the alias once', async () => {
  const { namespace, model, approvers, request } = await startNamespace(1, 10)
  await admin.gates.createGate({ namespace, name: 'gate', rules: rules(3) })
  const { id } = (await request(1, 0)).promotion!
  const events = await metadata.eventsOf(async () => {
    const outcomes = await settled(approvers.map((who) => who.promotions.approvePromotion({ id, reason: 'good' })))
    expect(outcomes.toSorted()).toEqual([...Array<string>(7).fill('PROMOTION_CLOSED'), 'done', 'done', 'done'])
  })
  expect(events.filter(({ type }) => type === 'alias.moved.v1')).toHaveLength(1)
  expect(events.filter(({ type }) => type === 'promotion.approved.v1')).toHaveLength(3)
  expect((await admin.aliases.listAliases({ model })).aliases).toMatchObject([{ number: 1 }])
})

test('applies one of several promotions approved at once, and voids the others', async () => {
  const { namespace, model, approvers, request } = await startNamespace(6, 1)
  await admin.gates.createGate({ namespace, name: 'gate', rules: rules(1) })
  const answers = await Promise.all([1, 2, 3, 4, 5, 6].map((number) => request(number, 0)))
  const ids = answers.map(({ promotion }) => promotion!.id)
  const outcomes = await settled(ids.map((id) => approvers[0]!.promotions.approvePromotion({ id, reason: 'good' })))
  expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(1)
  const { promotions } = await admin.promotions.listPromotions({ model })
  const inState = (wanted: PromotionState) => promotions.filter(({ state }) => state === wanted)
  expect(inState(PromotionState.APPLIED)).toHaveLength(1)
  expect(inState(PromotionState.VOIDED)).toHaveLength(5)
})

test('allows every alias move in the log while gates change at the same time', async () => {
  const { namespace, name, model, approvers } = await startNamespace(4, 2)
  let turn = 0
  const pointsAt = async (): Promise<number> =>
    (await admin.aliases.listAliases({ model })).aliases.find((alias) => alias.name === 'production')?.number ?? 0
  const other = (number: number): number => (number % 4) + 1
  const move = async () => {
    const from = await pointsAt()
    await replica.aliases.setAliases({ model, targets: [pointTo('production', other(from), from)] })
  }
  const promote = async () => {
    const from = await pointsAt()
    const version = numbered(name, other(from), namespace)
    const { promotion } = await replica.promotions.requestPromotion({
      version,
      alias: 'production',
      expectedNumber: from,
      reason: 'race',
    })
    for (const who of approvers) await who.promotions.approvePromotion({ id: promotion!.id, reason: 'good' })
  }
  const change = async () => {
    turn += 1
    if (turn % 3 === 0) await admin.gates.deleteGate({ namespace, name: 'gate' })
    else if (turn % 3 === 1) await admin.gates.createGate({ namespace, name: 'gate', rules: rules(turn % 2) })
    else await admin.gates.updateGate({ namespace, name: 'gate', rules: rules(turn % 3) })
  }
  const force = async () => {
    const from = await pointsAt()
    const targets = [pointTo('production', other(from), from)]
    await admin.aliases.setAliases({ model, targets, breakGlass: true, reason: 'incident' })
  }
  const allowed = [
    'done',
    'ALIAS_GATED',
    'ALIAS_MOVED',
    'PROMOTION_CLOSED',
    'PROMOTION_EXISTS',
    'GATE_EXISTS',
    'GATE_NOT_FOUND',
    'FIELD_INVALID',
    'CONFLICT',
  ]
  const seen = new Set<string>()
  for (let round = 0; round < 12; round += 1) {
    const calls = [move(), promote(), change(), move(), promote(), force(), change(), promote()]
    for (const outcome of await settled(calls)) seen.add(outcome)
  }
  expect([...seen].filter((outcome) => !allowed.includes(outcome))).toEqual([])
  expect(seen).toContain('done')
  expect(await findBroken()).toEqual([])
})
