import { create } from '@bufbuild/protobuf'
import { createContextValues, type HandlerContext } from '@connectrpc/connect'
import { randomUUID } from 'node:crypto'
import { afterAll, expect, test, vi } from 'vitest'
import { Permission } from '../../gen/modelkeep/common/v1/access_pb.ts'
import {
  CreateModelRequestSchema,
  CreateModelResponseSchema,
  type CreateModelRequest,
} from '../../gen/modelkeep/metadata/v1/model_service_pb.ts'
import { Access, accessKey } from '../../services/lib/access/caller.ts'
import { inTransaction } from '../../services/lib/store/database.ts'
import { answerOnce, findAnswer, deleteExpiredRequests } from '../../services/lib/store/requests.ts'
import { openOwnedStore, openStore } from '../../services/metadata/store/orm.ts'
import { createDatabase, runSql } from '../support/database.ts'

const testDatabase = await createDatabase()
const database = openStore({ url: testDatabase.url })
afterAll(async () => {
  await database.close(true)
  await testDatabase.drop()
})

function contextOf(principal: string): HandlerContext {
  const caller = { principal, method: 'token' as const, credentialId: '', service: '', roles: new Map() }
  const values = createContextValues().set(accessKey, new Access(caller, Permission.WRITE))
  return { values, signal: new AbortController().signal } as unknown as HandlerContext
}

type Init = Partial<Pick<CreateModelRequest, 'name' | 'requestId' | 'labels'>>

let runs = 0
/** Returns the number of the run that produced the response. */
function ask(init: Init, principal = 'alice', meanwhile: () => Promise<void> = async () => {}): Promise<string> {
  const request = create(CreateModelRequestSchema, { name: 'scorer', ...init })
  const once = {
    context: contextOf(principal),
    request,
    input: CreateModelRequestSchema,
    output: CreateModelResponseSchema,
  }
  return answerOnce(database, once, async () => {
    const run = (runs += 1)
    await meanwhile()
    return create(CreateModelResponseSchema, { model: { name: `run ${run}` } })
  }).then(({ model }) => model!.name)
}

test('runs every call without a request id', async () => {
  expect(await ask({})).not.toBe(await ask({}))
})

test('runs the same id with the same content once, whatever the case of the id', async () => {
  const requestId = randomUUID()
  const first = await ask({ requestId })
  expect(await ask({ requestId })).toBe(first)
  expect(await ask({ requestId: requestId.toUpperCase() })).toBe(first)
})

test('rejects the same id with other content, and retains the first response', async () => {
  const requestId = randomUUID()
  const first = await ask({ requestId })
  await expect(ask({ requestId, name: 'other' })).rejects.toMatchObject({
    reason: 'REQUEST_ID_REUSED',
    metadata: { request_id: requestId },
  })
  expect(await ask({ requestId })).toBe(first)
})

test("compares the values of a map's entries, but not their order", async () => {
  const requestId = randomUUID()
  const first = await ask({ requestId, labels: { a: '1', b: '2', '10': 'x' } })
  expect(await ask({ requestId, labels: { b: '2', '10': 'x', a: '1' } })).toBe(first)
  await expect(ask({ requestId, labels: { a: '2', b: '1', '10': 'x' } })).rejects.toMatchObject({
    reason: 'REQUEST_ID_REUSED',
  })
})

test('runs the same id of another principal as another request', async () => {
  const requestId = randomUUID()
  const first = await ask({ requestId }, 'alice')
  expect(await ask({ requestId, name: 'other' }, 'bob')).not.toBe(first)
})

test('rejects a request id that is not a UUID', async () => {
  await expect(ask({ requestId: 'twelve' })).rejects.toMatchObject({ metadata: { field: 'request_id' } })
})

test('a repeat waits for the running call and gets its response', async () => {
  const requestId = randomUUID()
  let finish: () => void = () => {}
  const mayFinish = new Promise<void>((resolve) => (finish = resolve))
  const before = runs
  const first = ask({ requestId }, 'alice', () => mayFinish)
  await vi.waitFor(() => expect(runs).toBe(before + 1), 10_000)
  const repeats = [ask({ requestId }), ask({ requestId }), ask({ requestId })]
  await vi.waitFor(async () => expect(await countWaiting()).toBe(3), 10_000)
  finish()
  const answer = await first
  expect(await Promise.all(repeats)).toEqual([answer, answer, answer])
  expect(runs).toBe(before + 1)
})

test('runs the waiting repeat when the first call fails', async () => {
  const requestId = randomUUID()
  let fail: (error: Error) => void = () => {}
  const failing = new Promise<void>((_, reject) => (fail = reject))
  const before = runs
  const first = ask({ requestId }, 'alice', () => failing)
  await vi.waitFor(() => expect(runs).toBe(before + 1), 10_000)
  const repeat = ask({ requestId })
  await vi.waitFor(async () => expect(await countWaiting()).toBe(1), 10_000)
  fail(new Error('on purpose'))
  await expect(first).rejects.toThrow('on purpose')
  expect(await repeat).toBe(`run ${before + 2}`)
})

async function countWaiting(): Promise<number> {
  const rows = await runSql(
    testDatabase.url,
    `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  )
  return rows.length
}

test('finds the stored response before a handler runs, or none', async () => {
  const requestId = randomUUID()
  const look = (name = 'scorer') =>
    inTransaction(database, undefined, (em) =>
      findAnswer(em, {
        context: contextOf('alice'),
        request: create(CreateModelRequestSchema, { name, requestId }),
        input: CreateModelRequestSchema,
        output: CreateModelResponseSchema,
      }),
    )
  expect(await look()).toBeUndefined()
  const first = await ask({ requestId })
  expect((await look())?.model?.name).toBe(first)
  await expect(look('other')).rejects.toMatchObject({ reason: 'REQUEST_ID_REUSED' })
})

test('stores responses for two days', async () => {
  const [old, young] = [randomUUID(), randomUUID()]
  const answers = [await ask({ requestId: old }), await ask({ requestId: young })]
  const owner = openOwnedStore({ url: testDatabase.url })
  const age = (id: string, hours: number) =>
    owner.em
      .fork()
      .execute(`update answered_request set create_time = now() - make_interval(hours => ?) where request_id = ?`, [
        hours,
        id,
      ])
  await age(old, 49)
  await age(young, 47)
  await deleteExpiredRequests(database.em.fork())
  expect(await ask({ requestId: young })).toBe(answers[1])
  expect(await ask({ requestId: old })).not.toBe(answers[0])
  await owner.close(true)
})
