// SetAliases and ListAliases: moves, expected numbers, races.
import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import {
  byName,
  makeModel,
  newName,
  pointTo,
  removalOf,
  selected,
  startMetadata,
  type Clients,
} from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata

async function pointsAt(model: string, alias: string): Promise<number> {
  const { aliases } = await admin.aliases.listAliases({ model: byName(model) })
  return aliases.find(({ name }) => name === alias)?.number ?? 0
}

test('sets, moves and removes an alias, with one event each', async () => {
  const name = newName()
  const digests = await makeModel(admin, name, 2)
  const model = byName(name)
  const { model: stored } = await admin.models.getModel({ model })
  const events = await metadata.eventsOf(async () => {
    const set = await admin.aliases.setAliases({ model, targets: [pointTo('production', 1)], reason: 'first' })
    expect(set.aliases).toMatchObject([
      {
        modelId: stored!.id,
        namespace: 'default',
        model: name,
        name: 'production',
        number: 1,
        digest: digests[0],
        mover: 'admin',
        reason: 'first',
      },
    ])
    await admin.aliases.setAliases({ model, targets: [pointTo('production', 2, 1)], reason: 'better' })
    expect((await admin.aliases.setAliases({ model, targets: [removalOf('production', 2)] })).aliases).toEqual([])
  })
  const resource = { type: 'alias', name: `default/${name}@production`, namespace: 'default' }
  expect(events).toMatchObject([
    { type: 'alias.moved.v1', reason: 'first', resource, afterDigest: digests[0], details: { from: 0, to: 1 } },
    {
      type: 'alias.moved.v1',
      reason: 'better',
      resource: { ...resource, digest: digests[1] },
      beforeDigest: digests[0],
      afterDigest: digests[1],
      details: { from: 1, to: 2 },
    },
    { type: 'alias.removed.v1', resource, beforeDigest: digests[1], details: { from: 2, to: 0 } },
  ])
  expect(new Set(events.map((event) => event.resource.id)).size).toBe(1)
  const { moves } = await admin.aliases.listAliasMoves({ model })
  expect(moves).toMatchObject([
    { name: 'production', fromNumber: 2, toNumber: 0 },
    { fromNumber: 1, toNumber: 2, reason: 'better', mover: 'admin' },
    { fromNumber: 0, toNumber: 1, reason: 'first' },
  ])
})

test('moves several aliases together or not at all', async () => {
  const name = newName()
  await makeModel(admin, name, 2)
  const model = byName(name)
  await admin.aliases.setAliases({ model, targets: [pointTo('a', 1), pointTo('b', 1)] })
  const events = await metadata.eventsOf(async () => {
    const targets = [pointTo('a', 2, 1), pointTo('c', 2), pointTo('b', 2, 2)]
    expect(await refusalOf(admin.aliases.setAliases({ model, targets }))).toMatchObject({
      code: 'Aborted',
      reason: 'ALIAS_MOVED',
      metadata: { alias: 'b', expected: '2', current: '1' },
    })
  })
  expect(events).toEqual([])
  expect([await pointsAt(name, 'a'), await pointsAt(name, 'b'), await pointsAt(name, 'c')]).toEqual([1, 1, 0])
  const answer = await admin.aliases.setAliases({
    model,
    targets: [pointTo('c', 1), removalOf('b', 1), pointTo('a', 2, 1)],
  })
  expect(answer.aliases.map((alias) => alias.name)).toEqual(['c', 'a'])
})

test('rejects a move whose expected number is not the current one, 0 for a new alias', async () => {
  const name = newName()
  await makeModel(admin, name, 2)
  const model = byName(name)
  const moved = (expected: string, current: string) => ({
    reason: 'ALIAS_MOVED',
    metadata: { alias: 'production', expected, current },
  })
  const set = (target: ReturnType<typeof pointTo> | ReturnType<typeof removalOf>) =>
    admin.aliases.setAliases({ model, targets: [target] })
  expect(await refusalOf(set(pointTo('production', 1, 2)))).toMatchObject(moved('2', '0'))
  await set(pointTo('production', 1))
  expect(await refusalOf(set(pointTo('production', 2)))).toMatchObject(moved('0', '1'))
  expect(await refusalOf(set(removalOf('production', 2)))).toMatchObject(moved('2', '1'))
  expect(await refusalOf(set(removalOf('absent', 0)))).toMatchObject({
    code: 'NotFound',
    reason: 'ALIAS_NOT_FOUND',
    metadata: { alias: 'absent' },
  })
  expect(await refusalOf(set(pointTo('production', 9, 1)))).toMatchObject({
    reason: 'VERSION_NOT_FOUND',
    metadata: { version: `default/${name}:9` },
  })
})

test('leaves an alias that already points to the version unchanged, without event or move', async () => {
  const name = newName()
  await makeModel(admin, name, 1)
  const model = byName(name)
  const first = await admin.aliases.setAliases({ model, targets: [pointTo('production', 1)], reason: 'first' })
  const events = await metadata.eventsOf(async () => {
    const again = await admin.aliases.setAliases({ model, targets: [pointTo('production', 1, 1)], reason: 'again' })
    expect(again.aliases).toEqual(first.aliases)
  })
  expect(events).toEqual([])
  expect((await admin.aliases.listAliasMoves({ model })).moves).toHaveLength(1)
})

test('accepts one of two concurrent moves on two replicas, and rejects the other', async () => {
  const name = newName()
  await makeModel(admin, name, 3)
  await admin.aliases.setAliases({ model: byName(name), targets: [pointTo('production', 1)] })
  const move = (clients: Clients, number: number) =>
    clients.aliases.setAliases({ model: byName(name), targets: [pointTo('production', number, 1)] })
  const [one, two] = await Promise.allSettled([move(admin, 2), move(metadata.replica, 3)])
  expect([one.status, two.status].sort()).toEqual(['fulfilled', 'rejected'])
  const [winner, loser] = one.status === 'fulfilled' ? [2, two] : [3, one]
  const refused = await refusalOf(Promise.reject((loser as PromiseRejectedResult).reason))
  expect(refused).toMatchObject({
    code: 'Aborted',
    reason: 'ALIAS_MOVED',
    metadata: { alias: 'production', expected: '1', current: String(winner) },
  })
  expect(await pointsAt(name, 'production')).toBe(winner)
  expect((await admin.aliases.listAliasMoves({ model: byName(name) })).moves).toHaveLength(2)
})

test('lists aliases and their moves page by page', async () => {
  const name = newName()
  await makeModel(admin, name, 2)
  const model = byName(name)
  await admin.aliases.setAliases({ model, targets: [pointTo('c', 1), pointTo('a', 1), pointTo('b', 2)] })
  await admin.aliases.setAliases({ model, targets: [pointTo('a', 2, 1)] })
  const names: string[] = []
  for (let pageToken = ''; ;) {
    const page = await admin.aliases.listAliases({ model, pageSize: 1, pageToken })
    names.push(...page.aliases.map((alias) => alias.name))
    if (!(pageToken = page.nextPageToken)) break
  }
  expect(names).toEqual(['a', 'b', 'c'])
  const moves: string[] = []
  for (let pageToken = ''; ;) {
    const page = await admin.aliases.listAliasMoves({ model, pageSize: 1, pageToken })
    moves.push(...page.moves.map((move) => `${move.name}:${move.fromNumber}>${move.toNumber}`))
    if (!(pageToken = page.nextPageToken)) break
  }
  expect(moves).toEqual(['a:1>2', 'b:0>2', 'a:0>1', 'c:0>1'])
  const first = await admin.aliases.listAliasMoves({ model, name: 'a', pageSize: 1 })
  const second = await admin.aliases.listAliasMoves({ model, name: 'a', pageToken: first.nextPageToken })
  expect([...first.moves, ...second.moves].map(({ toNumber }) => toNumber)).toEqual([2, 1])
  const foreign = { model, name: 'b', pageToken: first.nextPageToken }
  expect(await refusalOf(admin.aliases.listAliasMoves(foreign))).toMatchObject({ fields: ['page_token'] })
})

test('lists the history of concurrent moves in order', async () => {
  const name = newName()
  await makeModel(admin, name, 2)
  const model = byName(name)
  await admin.aliases.setAliases({ model, targets: [pointTo('hot', 1)] })
  const flip = async (clients: Clients) => {
    for (let turn = 0; turn < 10; turn += 1) {
      const { version } = await clients.versions.resolveVersion({
        ref: selected(name, { case: 'alias', value: 'hot' }),
      })
      const from = version!.number
      await clients.aliases.setAliases({ model, targets: [pointTo('hot', 3 - from, from)] }).catch(() => undefined)
    }
  }
  await Promise.all([flip(admin), flip(metadata.replica)])
  const { moves } = await admin.aliases.listAliasMoves({ model, pageSize: 1000 })
  const history = moves.toReversed()
  for (const [index, move] of history.entries()) {
    expect(move.fromNumber).toBe(index === 0 ? 0 : history[index - 1]!.toNumber)
  }
})

test('returns the first answer to a repeated request', async () => {
  const name = newName()
  await makeModel(admin, name, 1)
  const request = { model: byName(name), targets: [pointTo('a', 1)], requestId: randomUUID() }
  const first = await admin.aliases.setAliases(request)
  expect(await metadata.replica.aliases.setAliases(request)).toEqual(first)
  expect(await refusalOf(admin.aliases.setAliases({ ...request, reason: 'x' }))).toMatchObject({
    reason: 'REQUEST_ID_REUSED',
  })
})
