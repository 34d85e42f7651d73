// Runs services as their own processes, as in production, on a real PostgreSQL. The audit service is a fake peer that accepts
// every event, so that the log does not use the cores.
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ServiceName } from '#lib/process/settings.ts'
import { openStore } from '../../../services/metadata/store/orm.ts'
import { createAdminToken } from '../../../services/metadata/admin-token.ts'
import { migrate } from '../../../services/migrate.ts'
import { freePort, startPostgres } from '../../../services/standalone/postgres.ts'
import { startFakePeer } from './registry.ts'

export interface World {
  /** URL of the database for its superuser. */
  databaseUrl: string
  token: string
  /** A metadata service whose artifact service is a fake peer that has every manifest. */
  metadata: Running
  /** A metadata service whose artifact service is `artifact`. */
  metadataWithArtifact: Running
  artifact: Running
  pids: Record<string, number>
  /** Starts another metadata service on the database at this URL. */
  startMetadata: (databaseUrl: string) => Promise<Running>
  close: () => Promise<void>
}

export interface Running {
  address: string
  pid: number
  stop: () => Promise<void>
}

export async function openWorld(home: string): Promise<World> {
  const postgres = await startPostgres({ directory: join(home, 'postgres') })
  const databaseUrl = postgres.url('postgres')
  await migrate('metadata', databaseUrl)
  await migrate('artifact', databaseUrl)
  const store = openStore({ url: databaseUrl })
  const token = await createAdminToken(store)
  await store.close(true)
  const peer = await startFakePeer()
  const [metadataToken, artifactToken] = [makeToken(), makeToken()]
  const ports = { metadata: await freePort(), artifact: await freePort() }
  const artifactAddress = `http://127.0.0.1:${ports.artifact}`
  const settings = { SERVICE_TOKEN: metadataToken, TRUSTED_SERVICES: trust('artifact', artifactToken) }
  const startMetadata = (more: Record<string, string>) =>
    start('metadata', home, { DATABASE_URL: databaseUrl, AUDIT_ADDRESS: peer.address, ...settings, PORT: '0', ...more })
  const objects = join(home, 'objects')
  await mkdir(objects)
  const artifact = await start('artifact', home, {
    DATABASE_URL: databaseUrl,
    AUDIT_ADDRESS: peer.address,
    METADATA_ADDRESS: `http://127.0.0.1:${ports.metadata}`,
    SERVICE_TOKEN: artifactToken,
    TRUSTED_SERVICES: trust('metadata', metadataToken),
    STORE: 'directory',
    STORE_DIRECTORY: objects,
    PORT: String(ports.artifact),
  })
  const metadataWithArtifact = await startMetadata({ ARTIFACT_ADDRESS: artifactAddress, PORT: String(ports.metadata) })
  const metadata = await startMetadata({ ARTIFACT_ADDRESS: peer.address })
  return {
    databaseUrl,
    token,
    metadata,
    metadataWithArtifact,
    artifact,
    pids: { service: metadata.pid, database: postgres.pid, client: process.pid },
    startMetadata: (url) => startMetadata({ ARTIFACT_ADDRESS: peer.address, DATABASE_URL: url }),
    async close() {
      for (const running of [metadata, metadataWithArtifact, artifact]) await running.stop()
      await peer.close()
      await postgres.stop()
    },
  }
}

/** Starts the service, and writes its log to a file. */
async function start(name: ServiceName, home: string, settings: Record<string, string>): Promise<Running> {
  const log = join(home, `${name}-${randomBytes(4).toString('hex')}.log`)
  const file = openSync(log, 'a')
  const env = { PATH: process.env['PATH'], ...settings }
  const child = spawn(process.execPath, ['services/main.ts', name], { env, stdio: ['ignore', 'ignore', file] })
  closeSync(file)
  for (;;) {
    const lines = (await readFile(log, 'utf8')).split('\n')
    const serving = lines.find((line) => line.includes('"message":"serving"'))
    if (serving) {
      const { port } = JSON.parse(serving) as { port: number }
      return { address: `http://127.0.0.1:${port}`, pid: child.pid!, stop: () => stop(child) }
    }
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}:\n${lines.join('\n')}`)
    await sleep(20)
  }
}

async function stop(child: ReturnType<typeof spawn>): Promise<void> {
  if (child.exitCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

function makeToken(): string {
  return `mks_${randomBytes(32).toString('base64url')}`
}

function trust(name: string, token: string): string {
  return `${name}=${createHash('sha256').update(token).digest('hex')}`
}
