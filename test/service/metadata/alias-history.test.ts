// The history of aliases: rollbacks, past times, deleted versions.
import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import {
  byName,
  makeModel,
  newName,
  numbered,
  pointTo,
  removalOf,
  selected,
  startMetadata,
} from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata

test('rolls an alias back to its previous version, and records it as a move', async () => {
  const name = newName()
  await makeModel(admin, name, 3)
  const model = byName(name)
  await admin.aliases.setAliases({ model, targets: [pointTo('production', 1)] })
  await admin.aliases.setAliases({ model, targets: [pointTo('production', 3, 1)] })
  const request = { model, name: 'production', expectedNumber: 3, reason: 'errors', requestId: randomUUID() }
  const [event, ...none] = await metadata.eventsOf(async () => {
    const { alias } = await admin.aliases.rollbackAlias(request)
    expect(alias).toMatchObject({ name: 'production', number: 1, reason: 'errors', mover: 'admin' })
    expect((await metadata.replica.aliases.rollbackAlias(request)).alias).toEqual(alias)
  })
  expect(none).toEqual([])
  expect(event).toMatchObject({ type: 'alias.moved.v1', reason: 'errors', details: { from: 3, to: 1 } })
  const { alias } = await admin.aliases.rollbackAlias({ model, name: 'production', expectedNumber: 1 })
  expect(alias!.number).toBe(3)
})

test('rejects a rollback without a previous version, to a deleted version, or with a wrong expected number', async () => {
  const name = newName()
  await makeModel(admin, name, 2)
  const model = byName(name)
  const rollback = (expectedNumber: number) =>
    refusalOf(admin.aliases.rollbackAlias({ model, name: 'production', expectedNumber }))
  expect(await rollback(1)).toMatchObject({ code: 'NotFound', reason: 'ALIAS_NOT_FOUND' })
  await admin.aliases.setAliases({ model, targets: [pointTo('production', 1)] })
  expect(await rollback(1)).toMatchObject({ code: 'NotFound', reason: 'VERSION_NOT_FOUND' })
  expect(await rollback(2)).toMatchObject({
    reason: 'ALIAS_MOVED',
    metadata: { alias: 'production', expected: '2', current: '1' },
  })
  await admin.aliases.setAliases({ model, targets: [pointTo('production', 2, 1)] })
  await admin.versions.deleteVersion({ version: numbered(name, 1) })
  expect(await rollback(2)).toMatchObject({ reason: 'VERSION_NOT_FOUND', metadata: { version: `default/${name}:1` } })
  await admin.aliases.setAliases({ model, targets: [removalOf('production', 2)] })
  expect(await rollback(2)).toMatchObject({ reason: 'ALIAS_NOT_FOUND' })
})

test('retains the history after the versions are deleted', async () => {
  const name = newName()
  await makeModel(admin, name, 1)
  const model = byName(name)
  await admin.aliases.setAliases({ model, targets: [pointTo('x', 1)] })
  await admin.aliases.setAliases({ model, targets: [removalOf('x', 1)] })
  await admin.versions.deleteVersion({ version: numbered(name, 1) })
  expect((await admin.aliases.listAliasMoves({ model })).moves).toHaveLength(2)
})

test('reports the version that an alias pointed to at a past time, also after its deletion', async () => {
  const name = newName()
  const [digest] = await makeModel(admin, name, 2)
  const model = byName(name)
  await admin.aliases.setAliases({ model, targets: [pointTo('x', 1)] })
  const { version } = await admin.versions.resolveVersion({ ref: selected(name, { case: 'number', value: 1 }) })
  const { moves } = await admin.aliases.listAliasMoves({ model })
  await admin.aliases.setAliases({ model, targets: [pointTo('x', 2, 1)] })
  await admin.versions.deleteVersion({ version: numbered(name, 1) })
  const ref = selected(name, { case: 'alias', value: 'x' })
  expect(await refusalOf(admin.versions.resolveVersion({ ref, atTime: moves[0]!.moveTime! }))).toMatchObject({
    reason: 'VERSION_NOT_FOUND',
    message: expect.stringContaining('which has been deleted since'),
    metadata: { version: `default/${name}:1`, id: version!.id, digest, deleted: 'true' },
  })
})
