// The servers that a service depends on. One test owns them, so that it can kill them and start them again.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { migrate } from '../../services/migrate.ts'
import type { ServiceName } from '../../services/lib/process/settings.ts'
import { freePort, startPostgres, type Postgres } from '../../services/standalone/postgres.ts'
import { goTool } from './go-tool.ts'
import { KEYS, launchMinio, type S3Access } from './minio-server.ts'

export interface Killable {
  /** Kills the server with SIGKILL. */
  kill(): Promise<void>
  /** Starts the server again with the same address and data. */
  start(): Promise<void>
  stop(): Promise<void>
}

export async function startKillableMinio(): Promise<Killable & { access: S3Access }> {
  const program = await goTool('minio', 'github.com/minio/minio@latest')
  const data = await mkdtemp(join(tmpdir(), 'modelkeep-killable-minio-'))
  const address = `127.0.0.1:${await freePort()}`
  let child: ChildProcess = await launchMinio(program, data, address)
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  return {
    access: { endpoint: `http://${address}`, ...KEYS },
    kill,
    start: async () => void (child = await launchMinio(program, data, address)),
    async stop() {
      await kill()
      await rm(data, { recursive: true, force: true })
    },
  }
}

/** Starts a PostgreSQL with the schemas of these services. */
export async function startKillablePostgres(
  services: ServiceName[] = ['artifact'],
): Promise<Killable & { url: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'modelkeep-killable-postgres-'))
  await chmod(folder, 0o755)
  const port = String(await freePort())
  let ended = Promise.withResolvers<void>()
  const launch = (): Promise<Postgres> => {
    ended = Promise.withResolvers<void>()
    const { resolve: onCrash } = ended
    return startPostgres({ directory: join(folder, 'postgres'), settings: { port }, onCrash })
  }
  let server = await launch()
  const url = new URL(server.url('postgres'))
  url.port = port
  for (const name of services) await migrate(name, url.href)
  return {
    url: url.href,
    async kill() {
      process.kill(server.pid, 'SIGKILL')
      await ended.promise
    },
    // The children of the killed server hold its shared memory until they exit.
    start: async () => void (server = await again(launch)),
    async stop() {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function again<T>(work: () => Promise<T>): Promise<T> {
  const until = performance.now() + 20_000
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (performance.now() > until) throw error
      await sleep(100)
    }
  }
}
