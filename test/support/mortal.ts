// One service as a process of its own, which a test stops at a statement to its database, kills there, and starts again.
import { expect, vi } from 'vitest'
import type { ServiceName } from '../../services/lib/settings.ts'
import { freePort } from '../../services/standalone/postgres.ts'
import { startFreezingDatabase, type FreezePoint } from './freezing-database.ts'
import { startProcess } from './suite.ts'

export interface Mortal {
  /** The same after each start. */
  address: string
  /** Calls, waits until the service stands still at the point, and returns what was called. */
  freeze: <T>(point: FreezePoint, call: () => Promise<T>) => Promise<Call<T>>
  /** Kills without warning and starts again, with more settings if given. */
  killAndStart: (settings?: Record<string, string>) => Promise<void>
  stop: () => Promise<void>
}

export interface Call<T> {
  answer: Promise<T>
  /** False where the call failed. */
  isAnswered: Promise<boolean>
}

export async function startMortal(
  name: ServiceName,
  databaseUrl: string,
  settings: Record<string, string>,
): Promise<Mortal> {
  const database = await startFreezingDatabase(databaseUrl)
  const port = String(await freePort())
  const start = (more = {}) => startProcess(name, { ...settings, ...more, PORT: port, DATABASE_URL: database.url })
  let running = await start()
  return {
    address: running.address,
    async freeze(point, call) {
      database.arm(point)
      const answer = call()
      let problem = ''
      const isAnswered = answer.then(
        () => true,
        (error: unknown) => {
          problem = (error as Error).message
          return false
        },
      )
      const isThere = (): void => expect(database.frozen(), problem).toMatch(point.statement)
      await vi.waitFor(isThere, { timeout: 20_000, interval: 10 })
      return { answer, isAnswered }
    },
    async killAndStart(more) {
      await running.kill()
      running = await start(more)
    },
    async stop() {
      await running.kill()
      await database.close()
    },
  }
}
