// The `modelkeep` command against three services apart, any of which may be killed at any time. Each command runs once:
// what passes when it is tried again must be tried again by the command itself.
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { runCli, startCli, type Ended } from '../support/cli.ts'
import { startStallingProxy } from '../support/proxy.ts'
import { startSuite, type Suite } from '../support/suite.ts'

const MEBIBYTE = 1024 * 1024
let suite: Suite
let home: string

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'modelkeep-cli-'))
  suite = await startSuite({ STORE: 'directory', STORE_DIRECTORY: join(home, 'objects') })
})

afterAll(async () => {
  await suite.stop()
  await rm(home, { recursive: true, force: true })
})

type Service = 'metadata' | 'artifact' | 'audit'

/** Runs one command. In the middle of its transfer the line breaks and a service is killed, which comes back later: where
 * the command calls it, after the first call in vain. `at`: after how many bytes. */
async function runThrough(service: Service, at: { up?: number; down?: number }, args: string[]): Promise<Ended> {
  await using metadata = await startStallingProxy(suite.processes.metadata.address, {})
  await using artifact = await startStallingProxy(suite.processes.artifact.address, at)
  const running = startCli(args, {
    ...suite.environment,
    MODELKEEP_METADATA_ADDRESS: metadata.address,
    MODELKEEP_ARTIFACT_ADDRESS: artifact.address,
  })
  await artifact.stalled
  const isCalled = service === 'artifact' || (service === 'metadata' && args[0] === 'push')
  if (isCalled && service === 'metadata') {
    metadata.hold()
    artifact.open()
    await metadata.stalled
  }
  await suite.kill(service)
  for (const proxy of [metadata, artifact]) proxy.open()
  const { refused } = service === 'metadata' ? metadata : artifact
  if (isCalled) await vi.waitFor(() => expect(refused()).toBeGreaterThan(0), { timeout: 20_000, interval: 20 })
  await suite.start(service)
  // Awaited here, because the proxies end after it.
  return await running.ended
}

test.each(['metadata', 'artifact', 'audit'] as const)(
  'one push and one pull get through while %s is killed and started again',
  { timeout: 120_000 },
  async (service) => {
    const bytes = randomBytes(24 * MEBIBYTE)
    const [file, out] = [join(home, `${service}.bin`), join(home, `${service}-out`)]
    await writeFile(file, bytes)
    const push = ['push', file, service, '--alias', 'production', '--json']
    await killDuring(service, push)
    const pushed = await runThrough(service, { up: 4 * MEBIBYTE }, push)
    expect(pushed).toMatchObject({ err: '', code: 0 })
    expect(JSON.parse(pushed.out)).toMatchObject({ version: { number: 1 }, aliases: ['production'], created: true })
    const pulled = await runThrough(service, { down: 8 * MEBIBYTE }, ['pull', `${service}@production`, out, '--json'])
    expect(pulled).toMatchObject({ err: '', code: 0 })
    expect((await readFile(join(out, `${service}.bin`))).equals(bytes)).toBe(true)
    expect((await runCli(['list', service, '--json'], suite.environment)).out.match(/"number": 1/g)).toHaveLength(1)
  },
)

/** Kills the service and the command in the middle of a push. */
async function killDuring(service: Service, push: string[]): Promise<void> {
  await using proxy = await startStallingProxy(suite.processes.artifact.address, { up: 12 * MEBIBYTE })
  const running = startCli(push, { ...suite.environment, MODELKEEP_ARTIFACT_ADDRESS: proxy.address })
  await proxy.stalled
  await suite.kill(service)
  running.process.kill('SIGKILL')
  await running.ended
  await suite.start(service)
}

test('status names the service that does not answer', { timeout: 60_000 }, async () => {
  await suite.kill('audit')
  const { code, out, err } = await runCli(['status'], suite.environment)
  expect(code).toBe(6)
  expect(out).toMatch(/metadata .* serving\nartifact .* serving\naudit .*ECONNREFUSED/)
  expect(err).toContain('not serving: audit')
  await suite.start('audit')
  expect((await runCli(['status'], suite.environment)).code).toBe(0)
})
