// Lists of evaluations: order, pages, suites.
import { expect, test } from 'vitest'
import type { Evaluation } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { evaluationCalls, PASSED } from '../../support/evaluation-calls.ts'
import { byId, byName, makeModel, newName, pointTo, selected, startMetadata } from '../../support/metadata.ts'
import { refusalOf } from '../../support/refusal.ts'

const metadata = await startMetadata()
const { admin } = metadata
const { add, list } = evaluationCalls(admin)

const long = (length: number) => 'x'.repeat(length)

test('lists evaluations newest first, in pages and by suite', async () => {
  const name = newName()
  await makeModel(admin, name, 2)
  const made: Evaluation[] = []
  for (const suite of ['smoke', 'fairness', 'smoke', 'smoke', 'fairness']) {
    made.unshift(await add(name, { ...PASSED, suite }))
  }
  await add(name, PASSED, 2)
  const pages = async (question: { suite?: string }) => {
    const found: Evaluation[][] = []
    for (let pageToken = '', first = true; first || pageToken !== ''; first = false) {
      const page = await list(name, { ...question, pageSize: 2, pageToken })
      found.push(page.evaluations)
      pageToken = page.nextPageToken
    }
    return found
  }
  expect(await pages({})).toEqual([made.slice(0, 2), made.slice(2, 4), made.slice(4)])
  const smoke = made.filter(({ facts }) => facts!.suite === 'smoke')
  expect(await pages({ suite: 'smoke' })).toEqual([smoke.slice(0, 2), smoke.slice(2)])
  expect((await list(name, { suite: 'SMOKE' })).evaluations).toEqual([])
  expect((await list(name, { pageSize: 5 })).nextPageToken).toBe('')
})

test('lists concurrent evaluations in a stable order', async () => {
  const name = newName()
  await makeModel(admin, name, 1)
  await Promise.all(Array.from({ length: 20 }, (_, index) => add(name, { ...PASSED, suite: `s${index}` })))
  const { evaluations } = await list(name)
  const times = evaluations.map(({ createTime }) => createTime!.seconds * 1_000_000_000n + BigInt(createTime!.nanos))
  expect(new Set(times).size).toBe(20)
  expect(times).toEqual(times.toSorted((a, b) => (a < b ? 1 : -1)))
})

test('lists the newest first also after the clock went back', async () => {
  const name = newName()
  await makeModel(admin, name, 1)
  const first = await add(name)
  await metadata.sql(`begin; set session_replication_role = replica;
    update metadata.evaluation set create_time = now() + interval '1 hour' where id = '${first.id}'; commit`)
  const second = await add(name)
  expect((await list(name)).evaluations.map(({ id }) => id)).toEqual([second.id, first.id])
})

test('limits a page of large evaluations to the message limit', async () => {
  const name = newName()
  await makeModel(admin, name, 1)
  const metrics = Array.from({ length: 100 }, (_, index) => ({ name: `${index}${long(252)}`, value: index }))
  const facts = { ...PASSED, metrics, summary: long(4096), runUri: long(2048) }
  for (let count = 0; count < 110; count += 1) await add(name, facts)
  const first = await list(name, { pageSize: 1000 })
  expect(first.evaluations.length).toBeGreaterThan(50)
  expect(first.evaluations.length).toBeLessThan(110)
  const second = await list(name, { pageSize: 1000, pageToken: first.nextPageToken })
  expect(first.evaluations.length + second.evaluations.length).toBe(110)
  expect(second.nextPageToken).toBe('')
})

test('rejects a page token of another query', async () => {
  const [name, other] = [newName(), newName()]
  for (const model of [name, other]) {
    await makeModel(admin, model, 1)
    for (const suite of ['smoke', 'smoke', 'load']) await add(model, { ...PASSED, suite })
  }
  const { nextPageToken: pageToken } = await list(name, { pageSize: 1 })
  expect((await list(name, { pageSize: 2, pageToken })).evaluations).toHaveLength(2)
  const forged = Buffer.from(
    JSON.stringify([...JSON.parse(Buffer.from(pageToken, 'base64url').toString()).slice(0, 1), 'now', "' or true --"]),
  ).toString('base64url')
  for (const question of [
    () => list(other, { pageToken }),
    () => list(name, { suite: 'smoke', pageToken }),
    () => list(name, { pageToken: forged }),
    () => list(name, { pageToken: 'x' }),
  ]) {
    expect(await refusalOf(question())).toMatchObject({ reason: 'FIELD_INVALID', fields: ['page_token'] })
  }
})

test('lists the same evaluations for every kind of reference', async () => {
  const name = newName()
  const [digest] = await makeModel(admin, name, 1)
  const made = await add(name)
  await admin.aliases.setAliases({ model: byName(name), targets: [pointTo('live', 1)] })
  for (const version of [
    byId(made.versionId),
    selected(name, { case: 'alias', value: 'live' }),
    selected(name, { case: 'alias', value: 'latest' }),
    selected(name, { case: 'digest', value: digest! }),
  ]) {
    expect((await admin.evaluations.listEvaluations({ version })).evaluations).toEqual([made])
  }
})

test('logs no internal error', () => {
  expect(metadata.logs.filter((line) => line.includes('"message":"internal error"'))).toEqual([])
})
