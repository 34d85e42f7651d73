import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ANONYMOUS } from '#lib/access/caller.ts'
import { refusalEvent, RefusalThrottle, type Refusal } from '#lib/server/refusals.ts'

/** The monotonic clock, in milliseconds: tests move it on. */
let now: number
beforeEach(() => {
  now = 1_000
  vi.spyOn(performance, 'now').mockImplementation(() => now)
})
afterEach(() => void vi.restoreAllMocks())

async function advance(ms: number): Promise<void> {
  now += ms
  // The cache reads the clock once a millisecond.
  await sleep(2)
}

const refusal = (change: Partial<Refusal> = {}): Refusal => ({
  type: 'attempt.failed.v1',
  caller: { ...ANONYMOUS, principal: 'alice', method: 'token' },
  method: 'ModelService/CreateModel',
  namespace: 'default',
  requestId: 'r',
  reason: 'MODEL_EXISTS',
  details: { reason: 'MODEL_EXISTS' },
  ...change,
})

function start() {
  const recorded: [string, number][] = []
  let isBroken = false
  const record = async ({ requestId, repeats }: Refusal) => {
    if (isBroken) throw new Error('no database')
    recorded.push([requestId, repeats!])
  }
  const refusals = new RefusalThrottle(record, pino({ enabled: false }))
  const report = (requestId: string, change: Partial<Refusal> = {}) =>
    refusals.report(refusal({ requestId, ...change }))
  const pass = async (ms: number) => {
    await advance(ms)
    return refusals.flushDue()
  }
  return { recorded, report, pass, refusals, setBroken: (value: boolean) => void (isBroken = value) }
}

test('records the same refusal once a minute, then its last repeat with the count of the others', async () => {
  const { recorded, report, pass, refusals } = start()
  for (let call = 1; call <= 5; call += 1) await report(`r${call}`, { namespace: `room-${call}` })
  expect(recorded).toEqual([['r1', 0]])
  await pass(59_000)
  expect(recorded).toEqual([['r1', 0]])
  await pass(10_000)
  expect(recorded.slice(1)).toEqual([['r5', 3]])
  await report('r6')
  await pass(70_000)
  expect(recorded.slice(2)).toEqual([['r6', 0]])
  await pass(300_000)
  expect(recorded).toHaveLength(3)
  await refusals.close()
})

test('adds the count of suppressed refusals to the next one if that comes first', async () => {
  const { recorded, report, refusals } = start()
  await report('r1')
  for (const id of ['r2', 'r3']) await report(id)
  await advance(61_000)
  await report('r4')
  expect(recorded).toEqual([
    ['r1', 0],
    ['r4', 2],
  ])
  await refusals.close()
})

test('records refusals with another caller, RPC or reason apart', async () => {
  const { recorded, report, refusals } = start()
  const bob = { ...ANONYMOUS, principal: 'bob', method: 'token' as const }
  await report('r1')
  await report('r2', { caller: bob })
  await report('r3', { method: 'ModelService/DeleteModel' })
  await report('r4', { reason: 'MODEL_ARCHIVED' })
  expect(recorded.map(([id]) => id)).toEqual(['r1', 'r2', 'r3', 'r4'])
  await refusals.close()
  expect(recorded).toHaveLength(4)
})

test('records suppressed refusals when it closes', async () => {
  const { recorded, report, refusals } = start()
  for (const id of ['r1', 'r2', 'r3']) await report(id)
  await refusals.close()
  expect(recorded).toEqual([
    ['r1', 0],
    ['r3', 1],
  ])
})

test('rejects when recording fails, and records the refusal later', async () => {
  const { recorded, report, pass, refusals, setBroken } = start()
  setBroken(true)
  await expect(report('r1')).rejects.toThrow('no database')
  await report('r2')
  await expect(pass(70_000)).rejects.toThrow('no database')
  setBroken(false)
  expect(recorded).toEqual([])
  await pass(70_000)
  expect(recorded).toEqual([['r2', 1]])
  await refusals.close()
})

test('remembers 10,000 refusals, and records the repeats of those it evicts', async () => {
  const { recorded, report, pass, refusals } = start()
  await report('first')
  for (const id of ['again', 'again too']) await report(id, { reason: 'another' })
  for (let call = 0; call < 10_000; call += 1) await report(`r${call}`, { reason: String(call) })
  expect(recorded).toHaveLength(10_002)
  await pass(5_000)
  expect(recorded.at(-1)).toEqual(['again too', 0])
  await refusals.close()
})

test('adds the number of repeats to the event if there were any', () => {
  expect(refusalEvent(refusal()).details).toEqual({ reason: 'MODEL_EXISTS' })
  expect(refusalEvent(refusal({ repeats: 7 })).details).toEqual({ reason: 'MODEL_EXISTS', repeats: 7 })
})
