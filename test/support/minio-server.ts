// A real MinIO server: the server at MODELKEEP_TEST_S3_ENDPOINT, a container, an installed binary, or a binary built from
// source. If none of these is possible, the tests that need it fail.
import { spawn, type ChildProcess } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../services/standalone/postgres.ts'
import { isDockerAvailable } from './docker.ts'
import { goTool } from './go-tool.ts'

export interface S3Access {
  endpoint: string
  region: string
  accessKey: string
  secretKey: string
}

export interface MinioServer {
  access: S3Access
  /** Present if the server is a process on this machine. */
  pid?: number
  stop(): Promise<void>
}

export const KEYS = { region: 'us-east-1', accessKey: 'modelkeep', secretKey: 'modelkeep-test' }
const ROOT = { MINIO_ROOT_USER: KEYS.accessKey, MINIO_ROOT_PASSWORD: KEYS.secretKey, MINIO_BROWSER: 'off' }

export async function startMinio(): Promise<MinioServer> {
  const endpoint = process.env['MODELKEEP_TEST_S3_ENDPOINT']
  if (endpoint) return { access: givenAccess(endpoint), stop: async () => {} }
  if (await isDockerAvailable()) return startContainer()
  return startBinary(await goTool('minio', 'github.com/minio/minio@latest'))
}

function givenAccess(endpoint: string): S3Access {
  const accessKey = process.env['MODELKEEP_TEST_S3_ACCESS_KEY'] ?? ''
  const secretKey = process.env['MODELKEEP_TEST_S3_SECRET_KEY'] ?? ''
  if (!accessKey || !secretKey) {
    throw new Error('MODELKEEP_TEST_S3_ENDPOINT needs MODELKEEP_TEST_S3_ACCESS_KEY and MODELKEEP_TEST_S3_SECRET_KEY')
  }
  return { endpoint, region: process.env['MODELKEEP_TEST_S3_REGION'] ?? KEYS.region, accessKey, secretKey }
}

async function startContainer(): Promise<MinioServer> {
  const { GenericContainer, Wait } = await import('testcontainers')
  const container = await new GenericContainer('minio/minio')
    .withEnvironment(ROOT)
    .withCommand(['server', '/data'])
    .withExposedPorts(9000)
    .withWaitStrategy(Wait.forHttp('/minio/health/live', 9000))
    .start()
  const endpoint = `http://${container.getHost()}:${container.getMappedPort(9000)}`
  return { access: { endpoint, ...KEYS }, stop: async () => void (await container.stop()) }
}

async function startBinary(path: string): Promise<MinioServer> {
  const data = await mkdtemp(join(tmpdir(), 'modelkeep-minio-'))
  const address = `127.0.0.1:${await freePort()}`
  const child = await launchMinio(path, data, address)
  const end = (): void => {
    child.kill('SIGKILL')
    rmSync(data, { recursive: true, force: true, maxRetries: 10 })
  }
  process.once('exit', end)
  const stop = async () => {
    process.off('exit', end)
    await stopChild(child)
    await rm(data, { recursive: true, force: true })
  }
  return { access: { endpoint: `http://${address}`, ...KEYS }, pid: child.pid!, stop }
}

/** Resolves when the server responds. `certificates` is a folder with `public.crt` and `private.key`, for TLS. */
export async function launchMinio(
  path: string,
  data: string,
  address: string,
  certificates?: string,
): Promise<ChildProcess> {
  const tls = certificates ? ['--certs-dir', certificates] : []
  const child = spawn(path, ['server', '--quiet', '--address', address, ...tls, data], {
    env: { ...process.env, ...ROOT, MINIO_UPDATE: 'off' },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (text: Buffer) => (stderr = (stderr + text.toString()).slice(-4000)))
  try {
    await waitUntilLive(`${certificates ? 'https' : 'http'}://${address}/minio/health/live`, child)
    return child
  } catch (cause) {
    await stopChild(child)
    throw new Error(`MinIO did not start: ${stderr}`, { cause })
  }
}

async function waitUntilLive(url: string, child: ChildProcess): Promise<void> {
  for (let waited = 0; waited < 30_000; waited += 50) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
    const answer = await fetch(url).catch(() => undefined)
    if (answer?.ok) return
    await sleep(50)
  }
  throw new Error('it did not answer within 30 seconds')
}

export async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await ended
  clearTimeout(timer)
}
