// A service as a separate process. A test stops it at a database statement, kills it there, and starts it again.
import type { ServiceName } from '../../services/lib/process/settings.ts'
import { freePort } from '../../services/standalone/postgres.ts'
import { freezeAt, startFreezingDatabase, type FreezePoint, type FrozenCall } from './freezing-database.ts'
import { startProcess } from './suite.ts'

export interface KillableService {
  /** The address, which is the same after each start. */
  address: string
  freeze: <T>(point: FreezePoint, call: () => Promise<T>) => Promise<FrozenCall<T>>
  /** Kills the process with SIGKILL and starts it again, with additional settings if given. */
  killAndStart: (settings?: Record<string, string>) => Promise<void>
  stop: () => Promise<void>
}

export async function startKillableService(
  name: ServiceName,
  databaseUrl: string,
  settings: Record<string, string>,
): Promise<KillableService> {
  const database = await startFreezingDatabase(databaseUrl)
  const port = String(await freePort())
  const start = (more = {}) => startProcess(name, { ...settings, ...more, PORT: port, DATABASE_URL: database.url })
  let running = await start()
  return {
    address: running.address,
    freeze: (point, call) => freezeAt(database, point, call),
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
