// The `modelkeep` command against three services apart, any of which may be killed at any time.
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
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

/** What a user does after a mishap: the same command again. */
async function again(args: string[], first: Ended): Promise<Ended> {
  return first.code === 0 ? first : runCli(args, suite.environment)
}

test.each(['metadata', 'artifact', 'audit'] as const)(
  'a push and a pull get through while %s is killed and started again',
  { timeout: 120_000 },
  async (service) => {
    const bytes = randomBytes(60 * MEBIBYTE)
    const [file, out] = [join(home, `${service}.bin`), join(home, `${service}-out`)]
    await writeFile(file, bytes)
    const push = ['push', file, service, '--alias', 'production', '--json']
    {
      await using proxy = await startStallingProxy(suite.processes.artifact.address, { up: 40 * MEBIBYTE })
      const environment = { ...suite.environment, MODELKEEP_ARTIFACT_ADDRESS: proxy.address }
      const running = startCli(push, environment)
      await proxy.stalled
      await suite.kill(service)
      running.process.kill('SIGKILL')
      await running.ended
      await suite.start(service)
    }
    const pushed = startCli(push, suite.environment)
    await suite.kill(service)
    await suite.start(service)
    const { code, err, out: text } = await again(push, await pushed.ended)
    expect(err).toBe('')
    expect(code).toBe(0)
    expect(JSON.parse(text)).toMatchObject({ version: { number: 1 }, aliases: ['production'] })

    const pull = ['pull', `${service}@production`, out, '--json']
    const pulling = startCli(pull, suite.environment)
    await suite.kill(service)
    await suite.start(service)
    expect((await again(pull, await pulling.ended)).code).toBe(0)
    expect((await readFile(join(out, `${service}.bin`))).equals(bytes)).toBe(true)
    expect((await runCli(['list', service, '--json'], suite.environment)).out.match(/"number": 1/g)).toHaveLength(1)
  },
)

test('status names the service that does not answer', { timeout: 60_000 }, async () => {
  await suite.kill('audit')
  const { code, out, err } = await runCli(['status'], suite.environment)
  expect(code).toBe(6)
  expect(out).toMatch(/metadata .* serving\nartifact .* serving\naudit .*ECONNREFUSED/)
  expect(err).toContain('not serving: audit')
  await suite.start('audit')
  expect((await runCli(['status'], suite.environment)).code).toBe(0)
})
