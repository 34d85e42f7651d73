import { pino } from 'pino'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { NOBODY } from '#lib/access/caller.ts'
import { refusalEvent, Refusals, type Refusal } from '#lib/server/refusals.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const refusal = (change: Partial<Refusal> = {}): Refusal => ({
  type: 'attempt.failed.v1',
  caller: { ...NOBODY, principal: 'alice', method: 'token' },
  method: 'ModelService/CreateModel',
  namespace: 'default',
  requestId: 'r',
  reason: 'MODEL_EXISTS',
  details: { reason: 'MODEL_EXISTS' },
  ...change,
})

function start() {
  const told: [string, number][] = []
  let broken = false
  const record = async ({ requestId, repeats }: Refusal) => {
    if (broken) throw new Error('no database')
    told.push([requestId, repeats!])
  }
  const refusals = new Refusals(record, pino({ enabled: false }))
  const tell = (requestId: string, change: Partial<Refusal> = {}) => refusals.tell(refusal({ requestId, ...change }))
  const pass = (ms: number) => {
    vi.advanceTimersByTime(ms)
    return refusals.tellDue()
  }
  return { told, tell, pass, refusals, breakDown: (now: boolean) => void (broken = now) }
}

test('tells once in a minute what is the same, and then the last of it, with the number of the others', async () => {
  const { told, tell, pass, refusals } = start()
  for (let call = 1; call <= 5; call += 1) await tell(`r${call}`, { namespace: `room-${call}` })
  expect(told).toEqual([['r1', 0]])
  await pass(59_000)
  expect(told).toEqual([['r1', 0]])
  await pass(10_000)
  expect(told.slice(1)).toEqual([['r5', 3]])
  await tell('r6')
  await pass(70_000)
  expect(told.slice(2)).toEqual([['r6', 0]])
  await pass(300_000)
  expect(told).toHaveLength(3)
  await refusals.close()
})

test('gives the number of the untold to the next, where one comes first', async () => {
  const { told, tell, refusals } = start()
  await tell('r1')
  for (const id of ['r2', 'r3']) await tell(id)
  vi.advanceTimersByTime(61_000)
  await tell('r4')
  expect(told).toEqual([
    ['r1', 0],
    ['r4', 2],
  ])
  await refusals.close()
})

test('takes another caller, RPC or reason for something else', async () => {
  const { told, tell, refusals } = start()
  const bob = { ...NOBODY, principal: 'bob', method: 'token' as const }
  await tell('r1')
  await tell('r2', { caller: bob })
  await tell('r3', { method: 'ModelService/DeleteModel' })
  await tell('r4', { reason: 'MODEL_ARCHIVED' })
  expect(told.map(([id]) => id)).toEqual(['r1', 'r2', 'r3', 'r4'])
  await refusals.close()
  expect(told).toHaveLength(4)
})

test('tells what is untold when it ends', async () => {
  const { told, tell, refusals } = start()
  for (const id of ['r1', 'r2', 'r3']) await tell(id)
  await refusals.close()
  expect(told).toEqual([
    ['r1', 0],
    ['r3', 1],
  ])
})

test('says that it could not be kept, and tells it later', async () => {
  const { told, tell, pass, refusals, breakDown } = start()
  breakDown(true)
  await expect(tell('r1')).rejects.toThrow('no database')
  await tell('r2')
  await expect(pass(70_000)).rejects.toThrow('no database')
  breakDown(false)
  expect(told).toEqual([])
  await pass(70_000)
  expect(told).toEqual([['r2', 1]])
  await refusals.close()
})

test('remembers 10,000, and tells what it has to forget', async () => {
  const { told, tell, pass, refusals } = start()
  await tell('first')
  for (const id of ['again', 'again too']) await tell(id, { reason: 'another' })
  for (let call = 0; call < 10_000; call += 1) await tell(`r${call}`, { reason: String(call) })
  expect(told).toHaveLength(10_002)
  await pass(5_000)
  expect(told.at(-1)).toEqual(['again too', 0])
  await refusals.close()
})

test('an event has the number of repeats where there were any', () => {
  expect(refusalEvent(refusal()).details).toEqual({ reason: 'MODEL_EXISTS' })
  expect(refusalEvent(refusal({ repeats: 7 })).details).toEqual({ reason: 'MODEL_EXISTS', repeats: 7 })
})
