// Requests for promotions: which are rejected, who reads them, and how they are listed.
import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { PromotionState } from '#gen/modelkeep/metadata/v1/promotion_pb.ts'
import { byName, numbered, startMetadata } from '../../support/metadata.ts'
import { production, createNamespacesFor } from '../../support/promotion-namespace.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata

const startNamespace = createNamespacesFor(metadata)

test('rejects a duplicate request, a target that is already live, and an outdated expected number', async () => {
  const room = await startNamespace(production({ approvalsRequired: 1 }))
  const { promotion } = await room.request(room.bob, 1)
  expect(await refusalOf(room.request(room.alice, 1))).toMatchObject({
    code: 'AlreadyExists',
    reason: 'PROMOTION_EXISTS',
    metadata: { promotion: promotion!.id },
  })
  await room.carol.promotions.approvePromotion({ id: promotion!.id, reason: 'good' })
  expect((await refusalOf(room.request(room.bob, 1, 1))).fields).toEqual(['version'])
  expect(await refusalOf(room.request(room.bob, 2, 0))).toMatchObject({
    reason: 'ALIAS_MOVED',
    metadata: { alias: 'production', expected: '0', current: '1' },
  })
  expect((await refusalOf(room.request(room.bob, 9, 1))).reason).toBe('VERSION_NOT_FOUND')
})

test('reports the field of bad input', async () => {
  const room = await startNamespace()
  const version = numbered(room.model, 1, room.namespace)
  const good = { version, alias: 'production', reason: 'it is better' }
  const request = (bad: object) => room.bob.promotions.requestPromotion({ ...good, ...bad })
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
    expect([field, (await refusalOf(request(bad))).fields]).toEqual([field, [field]])
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

test('hides promotions from callers who cannot read the namespace', async () => {
  const room = await startNamespace(production({ approvalsRequired: 1 }))
  const { id } = (await room.request(room.bob, 1)).promotion!
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

test('lists promotions by namespace, model and state, newest first, in pages', async () => {
  const room = await startNamespace(production({ approvalsRequired: 1 }))
  const { namespace } = room
  const ids: string[] = []
  for (const number of [1, 2, 3]) ids.unshift((await room.request(room.bob, number)).promotion!.id)
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
