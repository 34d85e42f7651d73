// The command against three separate services, any of which may be killed at any time. Each command runs once, so it must retry
// transient failures itself.
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

/** Runs one command. During its transfer the connection is cut and a service is killed. The service is started again later: if
 * the command calls it, after the first failed call. `at`: the number of bytes before the cut. */
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
  // The await keeps the proxies open until the command has ended.
  return await running.ended
}

test.each(['metadata', 'artifact', 'audit'] as const)(
  'a push and a pull succeed while %s is killed and started again',
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

test('status names the unreachable service', { timeout: 60_000 }, async () => {
  await suite.kill('audit')
  const { code, out, err } = await runCli(['status'], suite.environment)
  expect(code).toBe(6)
  expect(out).toMatch(/metadata .* serving\nartifact .* serving\naudit .*ECONNREFUSED/)
  expect(err).toContain('not serving: audit')
  await suite.start('audit')
  expect((await runCli(['status'], suite.environment)).code).toBe(0)
})
