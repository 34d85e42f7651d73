// The `modelkeep` command against a real standalone server, both as processes of their own.
import { spawn, type ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFile, chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { runCli, startCli } from '../support/cli.ts'
import { startStallingProxy } from '../support/proxy.ts'

const REPOSITORY = resolve(import.meta.dirname, '..', '..')
const SILERO = join(REPOSITORY, 'node_modules', '@ricky0123', 'vad-web', 'dist')
const MEBIBYTE = 1024 * 1024

let home: string
let data: string
let server: ChildProcess
let environment: Record<string, string>

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'modelkeep-cli-'))
  await chmod(home, 0o755)
  data = join(home, 'data')
  await startServer(0)
  environment = { MODELKEEP_DATA: data }
})

afterAll(async () => {
  await stopServer('SIGTERM')
  await rm(home, { recursive: true, force: true })
})

async function startServer(port: number): Promise<void> {
  const { PATH } = process.env
  const args = ['services/standalone/main.ts', '--data', data, '--port', String(port)]
  server = spawn(process.execPath, args, { cwd: REPOSITORY, env: { PATH, HOME: home }, stdio: 'ignore' })
  const read = async () => JSON.parse(await readFile(join(data, 'server.json'), 'utf8')) as { pid: number }
  await vi.waitFor(async () => expect((await read()).pid).toBe(server.pid), { timeout: 60_000, interval: 50 })
}

async function stopServer(signal: NodeJS.Signals): Promise<void> {
  const exit = once(server, 'exit')
  server.kill(signal)
  await exit
}

async function address(): Promise<string> {
  return (JSON.parse(await readFile(join(data, 'server.json'), 'utf8')) as { address: string }).address
}

async function ok(...args: string[]): Promise<string> {
  const { code, out, err } = await runCli(args, environment)
  expect(err).toBe('')
  expect(code).toBe(0)
  return out
}

interface Pushed {
  version: { id: string; number: number; digest: string; sizeBytes: string }
  created: boolean
  sentBytes: number
  existingBytes: number
}

async function json<T = Record<string, unknown>>(...args: string[]): Promise<T> {
  return JSON.parse(await ok(...args, '--json')) as T
}

async function write(name: string, bytes: Buffer): Promise<string> {
  const file = join(home, name)
  await writeFile(file, bytes)
  return file
}

test('the five-minute tour', async () => {
  const facts = ['--param', 'sample_rate=16000', '--metric', 'f1=0.93', '--dataset', 'name=esc-50,digest=sha256:ab']
  const source = ['--source', 'https://github.com/snakers4/silero-vad@94f0fb1']
  expect(await ok('push', join(SILERO, 'silero_vad_legacy.onnx'), 'vad', ...source, ...facts)).toContain(
    'default/vad:1',
  )
  expect(await ok('push', join(SILERO, 'silero_vad_v5.onnx'), 'vad')).toContain('pushed default/vad:2')
  expect(await ok('list')).toMatch(/default\/vad +2 /)
  const shown = await ok('show', 'vad:1')
  expect(shown).toContain('https://github.com/snakers4/silero-vad@94f0fb1')
  expect(shown).toContain('sample_rate = 16000')
  expect(shown).toContain('f1 = 0.93')
  expect(shown).toContain('esc-50 sha256:ab')
  expect(shown).toContain('silero_vad_legacy.onnx')
  await ok('alias', 'set', 'vad@production', '2', '--reason', 'better on noisy calls')
  expect(await ok('resolve', 'vad@production')).toMatch(/^default\/vad:2 sha256:[0-9a-f]{64}\n$/)
  expect(await ok('pull', 'vad@production', join(home, 'out'))).toContain('verified')
  const pulled = await readFile(join(home, 'out', 'silero_vad_v5.onnx'))
  expect(pulled.equals(await readFile(join(SILERO, 'silero_vad_v5.onnx')))).toBe(true)
  await vi.waitFor(async () => {
    const log = await ok('log', 'vad')
    expect(log).toMatch(/admin +model created +default\/vad\n/)
    expect(log).toMatch(/admin +version created +default\/vad:2/)
    expect(log).toMatch(/admin +alias moved nothing → 2 +default\/vad@production +better on noisy calls/)
  })
})

describe('push', () => {
  test('of the same again changes nothing and says so', async () => {
    const file = await write('same.bin', randomBytes(1000))
    const first = await json<Pushed>('push', file, 'same', '--metric', 'auc=0.9')
    const second = await json<Pushed>('push', file, 'same', '--metric', 'auc=0.9')
    expect(second.version).toMatchObject({ id: first.version.id, number: 1 })
    expect(second.sentBytes).toBe(0)
    expect(await ok('push', file, 'same')).toContain('already there as default/same:1')
  })

  test('sends only what the registry lacks', async () => {
    const directory = join(home, 'parts')
    await mkdir(join(directory, 'sub'), { recursive: true })
    await writeFile(join(directory, 'weights'), randomBytes(100_000))
    await writeFile(join(directory, 'sub', 'copy'), await readFile(join(directory, 'weights')))
    await writeFile(join(directory, 'empty'), '')
    const first = await json<Pushed>('push', directory, 'parts')
    expect(first).toMatchObject({ sentBytes: 100_000, existingBytes: 100_000 })
    await writeFile(join(directory, 'config.json'), '{}')
    const second = await json<Pushed>('push', directory, 'parts')
    expect(second.version.number).toBe(2)
    expect(second).toMatchObject({ sentBytes: 2, existingBytes: 200_000 })
    await ok('pull', 'parts:2', join(home, 'parts-out'))
    expect((await readdir(join(home, 'parts-out'), { recursive: true })).toSorted()).toEqual([
      'config.json',
      'empty',
      'sub',
      join('sub', 'copy'),
      'weights',
    ])
  })

  test('that was killed goes on where it stopped', { timeout: 120_000 }, async () => {
    const bytes = randomBytes(100 * MEBIBYTE)
    const file = await write('large.bin', bytes)
    const token = (await readFile(join(data, 'admin-token'), 'utf8')).trim()
    {
      await using proxy = await startStallingProxy(await address(), { up: 80 * MEBIBYTE })
      const push = startCli(['push', file, 'large'], { MODELKEEP_ADDRESS: proxy.address, MODELKEEP_TOKEN: token })
      await proxy.stalled
      push.process.kill('SIGKILL')
      await push.ended
    }
    const again = await json<Pushed>('push', file, 'large')
    expect(again.version.number).toBe(1)
    expect(again.sentBytes).toBeGreaterThan(0)
    expect(again.sentBytes).toBeLessThan(90 * MEBIBYTE)
    expect(again.sentBytes + again.existingBytes).toBe(bytes.length)
    {
      await using proxy = await startStallingProxy(await address(), { down: 50 * MEBIBYTE })
      const args = ['pull', 'large:1', join(home, 'large-out')]
      const pull = startCli(args, { MODELKEEP_ADDRESS: proxy.address, MODELKEEP_TOKEN: token })
      await proxy.stalled
      pull.process.kill('SIGKILL')
      await pull.ended
    }
    expect(await readdir(home)).not.toContain('large-out')
    const pulled = await json<{ receivedBytes: number }>('pull', 'large:1', join(home, 'large-out'))
    expect(pulled.receivedBytes).toBeLessThan(90 * MEBIBYTE)
    const digest = createHash('sha256').update(bytes).digest('hex')
    const content = await readFile(join(home, 'large-out', 'large.bin'))
    expect(createHash('sha256').update(content).digest('hex')).toBe(digest)
    expect((await readdir(home)).filter((name) => name.includes('partial'))).toEqual([])
  })

  test('that was interrupted says how to go on', async () => {
    const file = await write('interrupted.bin', randomBytes(40 * MEBIBYTE))
    const token = (await readFile(join(data, 'admin-token'), 'utf8')).trim()
    await using proxy = await startStallingProxy(await address(), { up: 20 * MEBIBYTE })
    const push = startCli(['push', file, 'interrupted'], { MODELKEEP_ADDRESS: proxy.address, MODELKEEP_TOKEN: token })
    await proxy.stalled
    push.process.kill('SIGINT')
    const { code, err } = await push.ended
    expect(code).toBe(130)
    expect(err).toContain('run the same command again')
  })

  test('of two at once gives one version to equal bytes and dense numbers to others', async () => {
    const equal = await write('equal.bin', randomBytes(20 * MEBIBYTE))
    const both = await Promise.all([json<Pushed>('push', equal, 'race'), json<Pushed>('push', equal, 'race')])
    expect(both.map(({ version }) => version.number)).toEqual([1, 1])
    const files = await Promise.all([1, 2, 3].map((name) => write(`race-${name}.bin`, randomBytes(10_000))))
    const others = await Promise.all(files.map((file) => json<Pushed>('push', file, 'race')))
    expect(others.map(({ version }) => version.number).toSorted((a, b) => a - b)).toEqual([2, 3, 4])
  })

  test('of a version that was deleted makes a new one', async () => {
    const file = await write('again.bin', randomBytes(100))
    await json('push', file, 'again')
    await ok('version', 'delete', 'again:1', '--yes')
    const { version, created } = await json<Pushed>('push', file, 'again')
    expect(version.number).toBe(2)
    expect(created).toBe(true)
  })

  test('tells of a file that changes meanwhile, and registers nothing', async () => {
    const file = await write('changing.bin', randomBytes(60 * MEBIBYTE))
    const token = (await readFile(join(data, 'admin-token'), 'utf8')).trim()
    await using proxy = await startStallingProxy(await address(), { up: 10 * MEBIBYTE })
    const push = startCli(['push', file, 'changing'], { MODELKEEP_ADDRESS: proxy.address, MODELKEEP_TOKEN: token })
    await proxy.stalled
    await appendFile(file, 'more')
    await proxy[Symbol.asyncDispose]()
    const { code, err } = await push.ended
    expect(err).toContain('changed while it was being read')
    expect(code).toBe(1)
    expect((await runCli(['show', 'changing'], environment)).code).toBe(3)
  })

  test('refuses links that lead out, and an empty directory', async () => {
    const directory = join(home, 'links')
    await mkdir(directory)
    const empty = await runCli(['push', directory, 'links'], environment)
    expect(empty).toMatchObject({ code: 2, err: expect.stringContaining('no files') as string })
    await symlink('/etc/passwd', join(directory, 'secret'))
    const { code, err } = await runCli(['push', directory, 'links'], environment)
    expect(err).toContain('leads out of the directory')
    expect(code).toBe(2)
  })
})

describe('alias', () => {
  test('moves, goes back, and is remembered', async () => {
    for (const size of [1, 2, 3]) await json('push', await write(`alias-${size}.bin`, randomBytes(size * 10)), 'moving')
    await ok('alias', 'set', 'moving@production', '1')
    await ok('alias', 'set', 'moving@production', '2', '--reason', 'better')
    expect(await ok('alias', 'set', 'moving@production', '2')).toContain('already')
    expect(await ok('alias', 'rollback', 'moving@production', '--reason', 'worse')).toContain(
      'version 1 (was version 2)',
    )
    expect(await ok('alias', 'history', 'moving@production')).toMatch(
      /2 +1 +admin +worse\n.*1 +2 +admin +better\n.*– +1 /,
    )
    const { moves } = await json<{ moves: { moveTime: string; toNumber: number }[] }>('alias', 'history', 'moving')
    expect(await ok('resolve', 'moving@production', '--at', moves[1]!.moveTime)).toContain('default/moving:2')
    expect(await ok('alias', 'remove', 'moving@production')).toContain('removed')
    expect((await runCli(['resolve', 'moving@production'], environment)).code).toBe(3)
  })

  test('that somebody else has moved says who won', async () => {
    for (const size of [4, 5]) await json('push', await write(`won-${size}.bin`, randomBytes(size * 10)), 'won')
    await ok('alias', 'set', 'won@production', '1', '--reason', 'first come')
    const { code, err } = await runCli(['alias', 'set', 'won@production', '2', '--expect', '0'], environment)
    expect(code).toBe(5)
    expect(err).toContain('won@production now points at version 1: admin moved it («first come»)')
    expect(err).toContain('alias history')
  })
})

describe('exit codes', () => {
  test.each([
    [2, ['push']],
    [2, ['nonsense']],
    [2, ['resolve', 'vad']],
    [2, ['show', 'a/b/c']],
    [2, ['list', '--filter', 'no such field = 1']],
    [2, ['version', 'delete', 'vad@production', '--yes']],
    [3, ['show', 'nowhere']],
    [3, ['resolve', 'nowhere:1']],
    [3, ['push', join(SILERO, 'silero_vad_v5.onnx'), 'nowhere', '--no-create']],
    [5, ['model', 'create', 'vad']],
    [1, ['push', '/no/such/file', 'vad']],
  ])('%i for %j', async (expected, args) => {
    const { code, err, out } = await runCli(args, environment)
    expect(code).toBe(expected)
    expect(err).toMatch(/^modelkeep: /)
    expect(out).toBe('')
  })

  test('4 for a token that nobody knows', async () => {
    const { code, err } = await runCli(['list'], { ...environment, MODELKEEP_TOKEN: 'mk_wrong' })
    expect(err).toContain('MODELKEEP_TOKEN')
    expect(code).toBe(4)
  })

  test('4 without a token for another server than the one in the data directory', async () => {
    const { code, err } = await runCli(['list', '--address', 'http://localhost:1'], environment)
    expect(err).toContain('no token')
    expect(code).toBe(4)
  })

  test('6 where nothing answers, and where nothing is known', async () => {
    const nobody = { MODELKEEP_ADDRESS: 'http://127.0.0.1:1', MODELKEEP_TOKEN: 'mk_x' }
    const silent = await runCli(['list'], nobody)
    expect(silent).toMatchObject({ code: 6, err: expect.stringContaining('npm start') as string })
    const unknown = await runCli(['list'], { MODELKEEP_DATA: join(home, 'nothing') })
    expect(unknown).toMatchObject({ code: 6, err: expect.stringContaining('npm start') as string })
  })

  test('and reasons for programs', async () => {
    const { code, err } = await runCli(['show', 'nowhere', '--json'], environment)
    expect(code).toBe(3)
    expect(JSON.parse(err)).toMatchObject({ error: { reason: 'MODEL_NOT_FOUND', exit: 3 } })
  })
})

test('a token with a role works as far as the role goes, and no longer than it is wanted', async () => {
  await ok('namespace', 'create', 'fraud')
  const made = await json<{ token: { id: string }; secret: string }>('token', 'create', 'alice', '--expires', '1d')
  const alice = { MODELKEEP_ADDRESS: await address(), MODELKEEP_TOKEN: made.secret }
  const file = await write('alice.bin', randomBytes(10))
  await ok('role', 'grant', 'alice', 'reader', '-n', 'fraud')
  const denied = await runCli(['push', file, 'fraud/scorer'], alice)
  expect(denied.code).toBe(4)
  await ok('role', 'grant', 'alice', 'contributor', '-n', 'fraud')
  await vi.waitFor(
    async () => expect((await runCli(['push', file, 'fraud/scorer'], alice)).out).toContain('fraud/scorer:1'),
    { timeout: 20_000, interval: 500 },
  )
  expect((await runCli(['list'], alice)).out).not.toContain('default/')
  expect(await ok('list', 'fraud/')).toContain('fraud/scorer')
  expect(await ok('list', 'fraud')).toContain('fraud/scorer')
  expect(await ok('role', 'list', '-n', 'fraud')).toMatch(/alice +contributor +fraud/)
  await ok('token', 'revoke', made.token.id)
  await vi.waitFor(async () => expect((await runCli(['list'], alice)).code).toBe(4), { timeout: 20_000, interval: 500 })
  expect(await ok('token', 'list', '--principal', 'alice')).toContain('revoked')
})

test('models and versions are described, renamed, archived and deleted', async () => {
  await json('push', await write('life.bin', randomBytes(10)), 'life', '--label', 'team=voice', '--semver', '1.2.0')
  await ok('model', 'update', 'life', '--label', 'tier=gold', '--owner', 'voice team')
  await ok('model', 'update', 'life', '--label', 'tier=silver', '--description', '# What it is for')
  expect(await ok('show', 'life')).toMatch(/owner +voice team\n(.*\n)*.*What it is for/)
  await ok('version', 'update', 'life:1', '--label', 'checked=yes', '--remove-label', 'team')
  const { version } = await json<{ version: { labels: unknown } }>('show', 'life:1.2.0')
  expect(version.labels).toEqual({ checked: 'yes' })
  await ok('model', 'rename', 'life', 'afterlife')
  expect(await ok('show', 'life')).toContain('default/afterlife')
  await ok('model', 'archive', 'afterlife', '--reason', 'done')
  expect(await ok('list')).not.toContain('afterlife')
  expect(await ok('list', '--filter', 'state = ARCHIVED')).toContain('afterlife')
  expect((await runCli(['push', join(home, 'same.bin'), 'afterlife'], environment)).code).toBe(5)
  await ok('model', 'unarchive', 'afterlife')
  await ok('model', 'archive', 'afterlife')
  expect((await runCli(['model', 'delete', 'afterlife'], environment)).code).toBe(2)
  await ok('model', 'delete', 'afterlife', '--yes')
  await vi.waitFor(async () => expect(await ok('log', 'afterlife')).toContain('model deleted'))
})

test('every list is JSON when asked', async () => {
  const calls = [
    ['list'],
    ['list', 'vad'],
    ['show', 'vad'],
    ['show', 'vad:1'],
    ['resolve', 'vad:1'],
    ['log'],
    ['whoami'],
  ]
  const more = [
    ['status'],
    ['alias', 'list', 'vad'],
    ['alias', 'history', 'vad'],
    ['namespace', 'list'],
    ['token', 'list'],
  ]
  for (const call of [...calls, ...more, ['role', 'list']]) expect(await json(...call)).toBeTypeOf('object')
})

test('log --follow prints what happens, and takes a lost connection up', { timeout: 60_000 }, async () => {
  const follow = startCli(['log', '--follow', '--limit', '1', '--json'], environment)
  let seen = ''
  follow.process.stdout!.on('data', (text: string) => (seen += text))
  await vi.waitFor(() => expect(seen).not.toBe(''), { timeout: 10_000 })
  await ok('model', 'create', 'followed-1')
  await vi.waitFor(() => expect(seen).toContain('default/followed-1'), { timeout: 10_000 })
  const { port } = new URL(await address())
  await stopServer('SIGTERM')
  await startServer(Number(port))
  await ok('model', 'create', 'followed-2')
  await vi.waitFor(() => expect(seen).toContain('default/followed-2'), { timeout: 20_000 })
  for (const line of seen.trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('event')
  expect(seen.match(/"default\/followed-1"/g)).toHaveLength(1)
  follow.process.kill('SIGINT')
  expect((await follow.ended).code).toBe(130)
})
