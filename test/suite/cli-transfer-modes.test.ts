// The transfer modes of push and pull: direct to and from MinIO, streamed through the service, and changes between the two.
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli, startCli } from '../support/cli.ts'
import { minioSettings } from '../support/minio.ts'
import { startStallingProxy } from '../support/proxy.ts'
import type { Pushed } from '../support/standalone-home.ts'
import { startSuite, type RunningProcess, type Suite } from '../support/suite.ts'

const MEBIBYTE = 1024 * 1024
const SIZE = 40 * MEBIBYTE

let suite: Suite
let settings: Record<string, string>
let home: string

beforeAll(async () => {
  settings = await minioSettings()
  suite = await startSuite(settings)
  home = await mkdtemp(join(tmpdir(), 'modelkeep-modes-'))
})

afterAll(async () => {
  await suite.stop()
  await rm(home, { recursive: true, force: true })
})

async function writeBytes(name: string, size = SIZE): Promise<{ file: string; bytes: Buffer }> {
  const bytes = randomBytes(size)
  const file = join(home, name)
  await writeFile(file, bytes)
  return { file, bytes }
}

function environmentFor(replica: RunningProcess, more: Record<string, string> = {}): Record<string, string> {
  return { ...suite.environment, MODELKEEP_ARTIFACT_ADDRESS: replica.address, MODELKEEP_STALL_SECONDS: '60', ...more }
}

async function json<T>(environment: Record<string, string>, ...args: string[]): Promise<T> {
  const { code, out, err } = await runCli([...args, '--json'], environment)
  expect(err).toBe('')
  expect(code).toBe(0)
  return JSON.parse(out) as T
}

async function pullOf(environment: Record<string, string>, name: string, ...more: string[]): Promise<Buffer> {
  const out = join(home, `${name}-${randomBytes(4).toString('hex')}`)
  const { receivedBytes } = await json<{ receivedBytes: number }>(environment, 'pull', `${name}:1`, out, ...more)
  const content = await readFile(join(out, name))
  expect(receivedBytes).toBeGreaterThanOrEqual(content.length)
  return content
}

test('transfers bytes directly to and from the store, unless streaming is requested', async () => {
  await using proxy = await startStallingProxy(settings['S3_ENDPOINT']!, {})
  const replica = await suite.addReplica('artifact', { S3_PUBLIC_ENDPOINT: proxy.address })
  const environment = environmentFor(replica)
  const { file, bytes } = await writeBytes('straight')
  expect((await json<Pushed>(environment, 'push', file, 'straight')).sentBytes).toBe(SIZE)
  expect(proxy.moved.up).toBeGreaterThan(SIZE)
  expect((await pullOf(environment, 'straight')).equals(bytes)).toBe(true)
  expect(proxy.moved.down).toBeGreaterThan(SIZE)
  const before = { ...proxy.moved }
  const other = await writeBytes('streamed')
  await json<Pushed>(environment, 'push', other.file, 'streamed', '--lane', 'stream')
  expect((await pullOf(environment, 'streamed', '--lane', 'stream')).equals(other.bytes)).toBe(true)
  expect(proxy.moved).toEqual(before)
})

test('streams through the service if the store is unreachable', async () => {
  const replica = await suite.addReplica('artifact', { S3_PUBLIC_ENDPOINT: 'http://127.0.0.1:1' })
  const environment = environmentFor(replica)
  const { file, bytes } = await writeBytes('unreachable')
  await json<Pushed>(environment, 'push', file, 'unreachable')
  expect((await pullOf(environment, 'unreachable')).equals(bytes)).toBe(true)
  const insisting = await runCli(['pull', 'unreachable:1', join(home, 'never'), '--lane', 'direct'], environment)
  expect(insisting.err).toContain('is unreachable from here')
  expect(insisting.err).toContain('Without --lane direct')
  expect(insisting.err).not.toContain('X-Amz')
  expect(insisting.code).toBe(6)
})

test('streams parts through the service if their direct transfer stalls', async () => {
  const hasty = { MODELKEEP_STALL_SECONDS: '1' }
  await using up = await startStallingProxy(settings['S3_ENDPOINT']!, { up: 20 * MEBIBYTE })
  const pushing = await suite.addReplica('artifact', { S3_PUBLIC_ENDPOINT: up.address })
  const { file, bytes } = await writeBytes('stalling')
  await json<Pushed>(environmentFor(pushing, hasty), 'push', file, 'stalling')
  expect(up.moved.up).toBeGreaterThanOrEqual(20 * MEBIBYTE)
  await using down = await startStallingProxy(settings['S3_ENDPOINT']!, { down: 20 * MEBIBYTE })
  const pulling = await suite.addReplica('artifact', { S3_PUBLIC_ENDPOINT: down.address })
  expect((await pullOf(environmentFor(pulling, hasty), 'stalling')).equals(bytes)).toBe(true)
  expect(down.moved.down).toBeGreaterThanOrEqual(20 * MEBIBYTE)
})

test('resumes an interrupted direct transfer in either mode', async () => {
  const { file, bytes } = await writeBytes('interrupted', 100 * MEBIBYTE)
  {
    await using proxy = await startStallingProxy(settings['S3_ENDPOINT']!, { up: 80 * MEBIBYTE })
    const replica = await suite.addReplica('artifact', { S3_PUBLIC_ENDPOINT: proxy.address })
    const patient = environmentFor(replica, { MODELKEEP_STALL_SECONDS: '600' })
    const push = startCli(['push', file, 'interrupted'], patient)
    await proxy.stalled
    push.process.kill('SIGINT')
    const { code, err } = await push.ended
    expect(code).toBe(130)
    expect(err).toContain('run the same command again')
  }
  const again = await json<Pushed>(suite.environment, 'push', file, 'interrupted', '--lane', 'stream')
  expect(again.sentBytes).toBeGreaterThan(0)
  expect(again.sentBytes).toBeLessThan(90 * MEBIBYTE)
  const out = join(home, 'interrupted-out')
  {
    await using proxy = await startStallingProxy(settings['S3_ENDPOINT']!, { down: 60 * MEBIBYTE })
    const replica = await suite.addReplica('artifact', { S3_PUBLIC_ENDPOINT: proxy.address })
    const pull = startCli(['pull', 'interrupted:1', out], environmentFor(replica, { MODELKEEP_STALL_SECONDS: '600' }))
    await proxy.stalled
    pull.process.kill('SIGKILL')
    await pull.ended
  }
  const pulled = await json<{ receivedBytes: number }>(suite.environment, 'pull', 'interrupted:1', out)
  expect(pulled.receivedBytes).toBeLessThan(100 * MEBIBYTE)
  expect((await readFile(join(out, 'interrupted'))).equals(bytes)).toBe(true)
})

test('transfers all files directly if the server requires it', async () => {
  const replica = await suite.addReplica('artifact', { LANES: 'direct' })
  const environment = environmentFor(replica)
  for (const [name, size] of [
    ['small', 1000],
    ['large', 20 * MEBIBYTE],
    ['empty', 0],
  ] as const) {
    const { file, bytes } = await writeBytes(`only-${name}`, size)
    await json<Pushed>(environment, 'push', file, `only-${name}`)
    expect((await pullOf(environment, `only-${name}`)).equals(bytes)).toBe(true)
  }
  const refused = await runCli(['pull', 'only-large:1', join(home, 'refused'), '--lane', 'stream'], environment)
  expect(refused.err).toContain('LANES=direct')
  expect(refused.code).toBe(5)
})

test('streams if the server requires it, and rejects the mode direct', async () => {
  const replica = await suite.addReplica('artifact', { LANES: 'stream' })
  const environment = environmentFor(replica)
  const { file, bytes } = await writeBytes('through', 20 * MEBIBYTE)
  await json<Pushed>(environment, 'push', file, 'through')
  expect((await pullOf(environment, 'through')).equals(bytes)).toBe(true)
  const refused = await runCli(['pull', 'through:1', join(home, 'insisted'), '--lane', 'direct'], environment)
  expect(refused.err).toContain('LANES=stream')
  expect(refused.code).toBe(5)
})
