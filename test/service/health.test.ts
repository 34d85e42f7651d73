// Health checks that do not end: probes get a response in time, and no timer or statement remains.
import { afterEach, expect, test, vi } from 'vitest'
import { Health, HealthCheckResponse_ServingStatus as Status } from '#gen/health/v1/health_pb.ts'
import { HealthMonitor } from '#lib/server/health.ts'
import { serve } from '#lib/server/serve.ts'
import { inTransaction } from '#lib/store/database.ts'
import { openOwnedStore } from '../../services/audit/store/orm.ts'
import { startAudit } from '../support/audit.ts'
import { createDatabase, runSql } from '../support/database.ts'
import { envelope, RawClient } from '../support/raw-grpc.ts'
import { grpcClient, stubServing } from '../support/serving.ts'

afterEach(() => vi.useRealTimers())

test('reports NOT_SERVING after five seconds for a check that does not end, and leaves no timer after one that ends', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const draining = new AbortController().signal
  const answered: Status[] = []
  let late: AbortSignal | undefined
  const check = (_service: string, signal: AbortSignal) => {
    late = signal
    return new Promise<boolean>(() => {})
  }
  const asked = new HealthMonitor({ check, draining }).status().then((status) => answered.push(status))
  await vi.advanceTimersByTimeAsync(4_999)
  expect([answered, late!.aborted]).toEqual([[], false])
  await vi.advanceTimersByTimeAsync(1)
  await asked
  expect([answered, late!.aborted]).toEqual([[Status.NOT_SERVING], true])
  expect(await new HealthMonitor({ check: async () => true, draining }).status()).toBe(Status.SERVING)
  expect(vi.getTimerCount()).toBe(0)
})

test('cancels checks that the database blocks, and reports SERVING when it responds again', async () => {
  const database = await createDatabase()
  const audit = await startAudit(database.url, { checkWithinMs: 300 })
  const owner = openOwnedStore({ url: database.url })
  const health = audit.client(Health, '')
  const status = async () => (await health.check({})).status
  const waiting = `select 1 from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and query like '%log_head%'`
  expect(await status()).toBe(Status.SERVING)
  await inTransaction(owner, undefined, async (em) => {
    await em.execute('lock table log_head in access exclusive mode')
    // This is more than the connections of the service.
    const statuses = await Promise.all(Array.from({ length: 12 }, status))
    expect(new Set(statuses)).toEqual(new Set([Status.NOT_SERVING]))
    expect((await fetch(`${audit.address}/healthz`)).status).toBe(503)
    await expect.poll(() => runSql(database.url, waiting)).toEqual([])
  })
  await expect.poll(status).toBe(Status.SERVING)
  await owner.close(true)
  await audit.close()
  await database.drop()
})

test('checks once for thousands of watchers and probes, and rejects streams beyond the share of an address', async () => {
  const SERVED = 3072
  const BEYOND = 28
  const PER_SESSION = 100
  let checks = 0
  const stub = stubServing([], () => {})
  const check = async () => ((checks += 1), true)
  const served = await serve({ ...stub, check, healthCachedMs: 60_000 }, { host: '127.0.0.1', port: 0 })
  const address = `http://127.0.0.1:${served.port}`
  const sessions = Array.from({ length: (SERVED + BEYOND) / PER_SESSION }, () => new RawClient(address, ''))
  let serving = 0
  let refused = 0
  for (const session of sessions) {
    for (let number = 0; number < PER_SESSION; number += 1) {
      const stream = session.open(Health.method.watch)
      stream.on('data', () => void (serving += 1))
      stream.on('trailers', ({ 'grpc-status': status }) => void (refused += Number(status === RESOURCE_EXHAUSTED)))
      stream.end(envelope(Buffer.alloc(0)))
    }
  }
  await expect.poll(() => [serving, refused], { timeout: 30_000 }).toEqual([SERVED, BEYOND])
  // Probes are answered all the same.
  expect((await grpcClient(Health, served.port).check({})).status).toBe(Status.SERVING)
  expect((await fetch(`${address}/healthz`)).status).toBe(200)
  expect(checks).toBe(1)
  for (const session of sessions) session.close()
  await served.close(0)
})

const RESOURCE_EXHAUSTED = '8'
