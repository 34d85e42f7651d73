// The environment of the benchmark: real MinIO and PostgreSQL, a fake peer that knows one caller, and services in separate
// processes.
import type { ConnectRouter } from '@connectrpc/connect'
import { connectNodeAdapter } from '@connectrpc/connect-node'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client as MinioClient } from 'minio'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { migrate } from '../../services/migrate.ts'
import { startPostgres } from '../../services/standalone/postgres.ts'
import { startMinio } from '../support/minio-server.ts'
import { makeHome } from './home.ts'

export type Framing = 'zero-copy' | 'general'

export interface BenchService {
  address: string
  pid: number
  kill(): Promise<void>
}

export interface World {
  minio: MinioClient
  minioPid: number
  postgresPid: number
  bucket: string
  databaseUrl: string
  /** Removes all objects. */
  clear(): Promise<void>
  startService(framing: Framing, settings?: Record<string, string>): Promise<BenchService>
  close(): Promise<void>
}

export const TOKEN = 'bench'
const BUCKET = 'bench'

export async function openWorld(profile: string | undefined): Promise<World> {
  const directory = await makeHome()
  const [postgres, server, peer] = await Promise.all([
    startPostgres({ directory: join(directory, 'postgres') }),
    startMinio(),
    startFakePeer(),
  ])
  const databaseUrl = postgres.url('postgres')
  await migrate('artifact', databaseUrl)
  const { endpoint, region, accessKey, secretKey } = server.access
  const { hostname, port } = new URL(endpoint)
  const minio = new MinioClient({ endPoint: hostname, port: Number(port), useSSL: false, region, accessKey, secretKey })
  await minio.makeBucket(BUCKET, region)
  const environment = {
    PORT: '0',
    LOG_LEVEL: 'error',
    DATABASE_URL: databaseUrl,
    SERVICE_TOKEN: `mks_${'a'.repeat(40)}`,
    TRUSTED_SERVICES: `metadata=${'0'.repeat(64)}`,
    METADATA_ADDRESS: peer.address,
    AUDIT_ADDRESS: peer.address,
    S3_ENDPOINT: endpoint,
    S3_REGION: region,
    S3_BUCKET: BUCKET,
    S3_ACCESS_KEY: accessKey,
    S3_SECRET_KEY: secretKey,
  }
  const services: BenchService[] = []
  return {
    minio,
    minioPid: server.pid ?? process.pid,
    postgresPid: postgres.pid,
    bucket: BUCKET,
    databaseUrl,
    async clear() {
      const keys: string[] = []
      for await (const item of minio.listObjectsV2(BUCKET, '', true)) keys.push((item as { name: string }).name)
      await minio.removeObjects(BUCKET, keys)
    },
    async startService(framing, settings = {}) {
      const service = await startService(framing, { ...environment, ...settings }, profile)
      services.push(service)
      return service
    },
    async close() {
      await Promise.all(services.map((service) => service.kill()))
      peer.close()
      await Promise.all([postgres.stop(), server.stop()])
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function startService(
  framing: Framing,
  environment: Record<string, string>,
  profile: string | undefined,
): Promise<BenchService> {
  const main = fileURLToPath(new URL('artifact-service.ts', import.meta.url))
  const flags = profile ? ['--cpu-prof', '--cpu-prof-dir', profile, '--cpu-prof-name', `${framing}.cpuprofile`] : []
  const child = spawn(process.execPath, [...flags, main, framing], {
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const end = (): unknown => child.kill('SIGKILL')
  process.once('exit', end)
  child.once('exit', () => process.off('exit', end))
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return { address: `http://127.0.0.1:${Number(line.toString())}`, pid: child.pid!, kill: () => kill(child, profile) }
}

async function kill(child: ChildProcess, profile: string | undefined): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill(profile ? 'SIGTERM' : 'SIGKILL')
  await ended
}

/** A fake metadata and audit service: it authenticates the token, and discards events. */
async function startFakePeer() {
  const expireTime = { seconds: BigInt(Math.floor(Date.now() / 1000) + 86_400), nanos: 0 }
  const routes = (router: ConnectRouter): void => {
    router.service(IdentityService, {
      authenticateToken: () => ({
        token: { id: '01900000-0000-7000-8000-000000000000', principal: 'bench', expireTime },
        roles: [{ principal: 'bench', namespace: 'default', role: Role.CONTRIBUTOR }],
      }),
    })
    router.service(IngestService, { appendEvents: ({ events }) => ({ indexes: events.map(() => 0n) }) })
  }
  const server = createServer(connectNodeAdapter({ routes }))
  const sessions = new Set<{ destroy(): void }>()
  server.on('session', (session) => sessions.add(session))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = (): void => {
    server.close()
    for (const session of sessions) session.destroy()
  }
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}
