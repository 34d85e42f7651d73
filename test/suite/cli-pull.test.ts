// Pulls: the referenced version, concurrent pulls, and existing directories.
import { randomBytes } from 'node:crypto'
import { chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { targetPaths } from '../../clients/cli/pull/partial.ts'
import { putInPlace } from '../../clients/cli/pull/target.ts'
import { runCli, startCli } from '../support/cli.ts'
import { sha256, startFakeRegistry, type FakeRegistry } from '../support/fake-registry.ts'

const NOBODY = 65_534
const isRoot = process.getuid?.() === 0
const bytes = randomBytes(100_000)
const files = [{ path: 'a', bytes }]
let directory: string
let out: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'modelkeep-cli-'))
  out = join(directory, 'out')
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

const environmentOf = ({ address }: FakeRegistry) => ({ MODELKEEP_ADDRESS: address, MODELKEEP_TOKEN: 'mk_fake' })
const run = (registry: FakeRegistry, ...args: string[]) => runCli(args, environmentOf(registry))
const pull = (registry: FakeRegistry, ...more: string[]) => run(registry, 'pull', 'vad:1', out, ...more)

/** Puts a directory of the user's at the target. */
async function fillTarget(): Promise<void> {
  await mkdir(out)
  await writeFile(join(out, 'mine'), 'mine')
}

async function expectTargetUntouched(): Promise<void> {
  expect(await readdir(out)).toEqual(['mine'])
  expect(await readFile(join(out, 'mine'), 'utf8')).toBe('mine')
}

describe('a version referenced by its digest', () => {
  test('is pulled if the server returns it', async () => {
    await using registry = await startFakeRegistry(files)
    expect(await run(registry, 'pull', `vad@${registry.digest}`, out)).toMatchObject({ err: '', code: 0 })
    expect(await readFile(join(out, 'a'))).toEqual(bytes)
  })

  test.each([['pull', 'out'], ['resolve'], ['show'], ['artifact verify']])(
    'is rejected by %s if the server returns another version',
    async (command, ...more) => {
      await using registry = await startFakeRegistry(files)
      const asked = sha256(Buffer.from('another version'))
      const args = [...command.split(' '), `vad@${asked}`, ...more.map((name) => join(directory, name))]
      const { code, err, out: printed } = await run(registry, ...args)
      expect(err).toContain(`server returned ${registry.digest} instead of ${asked}`)
      expect(code).toBe(7)
      expect(printed).toBe('')
      expect(await readdir(directory)).toEqual([])
    },
  )
})

describe('a pull into a directory with another running pull', () => {
  test('is rejected while the other one runs, which then succeeds', async () => {
    const { promise: mayGoOn, resolve: goOn } = Promise.withResolvers<void>()
    const { promise: hasBegun, resolve: begin } = Promise.withResolvers<void>()
    let downloads = 0
    const hold = async (): Promise<void> => {
      begin()
      if (downloads++ === 0) await mayGoOn
    }
    await using registry = await startFakeRegistry(files, { hold })
    const first = startCli(['pull', 'vad:1', out], environmentOf(registry))
    await hasBegun
    const second = await pull(registry, '--json')
    expect(second.code).toBe(5)
    const message = `another pull into ${out} is running (process ${first.process.pid})`
    const { lock } = targetPaths(out, registry.digest)
    const hint = `If that process no longer exists, remove ${lock}`
    expect(JSON.parse(second.err)).toMatchObject({ error: { message, hint, reason: 'CLI_CONFLICT' } })
    expect(downloads).toBe(1)
    goOn()
    expect(await first.ended).toMatchObject({ err: '', code: 0 })
    expect(await readFile(join(out, 'a'))).toEqual(bytes)
    expect(await readdir(directory)).toEqual(['out'])
  })

  test('proceeds if the process of the other one has ended', async () => {
    await using registry = await startFakeRegistry(files)
    const dead = startCli(['--version'])
    await dead.ended
    await writeFile(targetPaths(out, registry.digest).lock, String(dead.process.pid))
    expect(await pull(registry)).toMatchObject({ err: '', code: 0 })
    expect(await readdir(directory)).toEqual(['out'])
  })
})

describe('a partial directory', () => {
  async function expectRejected(registry: FakeRegistry): Promise<void> {
    const { partial } = targetPaths(out, registry.digest)
    const { code, err } = await pull(registry)
    expect(err).toContain(`${partial} is not a directory of this user\n  Remove it and run the command again.`)
    expect(code).toBe(5)
    expect(registry.sent()).toBe(0)
    expect(await readdir(directory)).toEqual([`out.modelkeep-partial-${registry.digest.slice(7, 23)}`])
  }

  test.skipIf(!isRoot)('of another user is rejected and left unchanged', async () => {
    await using registry = await startFakeRegistry(files)
    const { partial } = targetPaths(out, registry.digest)
    await mkdir(partial, { mode: 0o777 })
    await writeFile(join(partial, 'a'), bytes)
    await chown(partial, NOBODY, NOBODY)
    await expectRejected(registry)
    expect(await readFile(join(partial, 'a'))).toEqual(bytes)
    expect((await stat(partial)).uid).toBe(NOBODY)
  })

  test('that is a file is rejected and left unchanged', async () => {
    await using registry = await startFakeRegistry(files)
    const { partial } = targetPaths(out, registry.digest)
    await writeFile(partial, 'a file')
    await expectRejected(registry)
    expect(await readFile(partial, 'utf8')).toBe('a file')
  })
})

describe('a directory that is not empty', () => {
  test('is left unchanged, and replaced with --force', async () => {
    await using registry = await startFakeRegistry(files)
    await fillTarget()
    const refused = await pull(registry)
    expect(refused.code).toBe(5)
    expect(refused.err).toContain('--force')
    expect(await readdir(directory)).toEqual(['out'])
    expect((await pull(registry, '--force')).code).toBe(0)
    expect(await readdir(out)).toEqual(['a'])
    expect(await readdir(directory)).toEqual(['out'])
  })

  test('stays when a pull with --force gets wrong bytes', async () => {
    await using registry = await startFakeRegistry(files, { corrupt: ({ length }) => Buffer.alloc(length) })
    await fillTarget()
    expect((await pull(registry, '--force')).code).toBe(7)
    await expectTargetUntouched()
  })

  test('is restored if the new one cannot be put in place', async () => {
    await fillTarget()
    const places = targetPaths(out, sha256(bytes))
    // The partial directory does not exist.
    await expect(putInPlace(places, true)).rejects.toThrow('ENOENT')
    await expectTargetUntouched()
    expect(await readdir(directory)).toEqual(['out'])
  })
})
