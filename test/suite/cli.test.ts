// The `modelkeep` command against a real standalone server, each in a process of its own.
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { runCli } from '../support/cli.ts'
import { StandaloneHome } from '../support/standalone-home.ts'

const SILERO = resolve(import.meta.dirname, '..', '..', 'node_modules', '@ricky0123', 'vad-web', 'dist')
/** Events reach the log with a short delay, and tokens are cached for some seconds. */
const PATIENCE = { timeout: 25_000, interval: 300 }

let server: StandaloneHome

beforeAll(async () => {
  server = await StandaloneHome.open()
})

afterAll(() => server.close())

test('the five-minute tour', async () => {
  const facts = ['--param', 'sample_rate=16000', '--metric', 'f1=0.93', '--dataset', 'name=esc-50,digest=sha256:ab']
  const source = ['--source', 'https://github.com/snakers4/silero-vad@94f0fb1']
  expect(await server.ok('push', join(SILERO, 'silero_vad_legacy.onnx'), 'vad', ...source, ...facts)).toContain(
    'default/vad:1',
  )
  expect(await server.ok('push', join(SILERO, 'silero_vad_v5.onnx'), 'vad')).toContain('pushed default/vad:2')
  expect(await server.ok('list')).toMatch(/default\/vad +2 /)
  const shown = await server.ok('show', 'vad:1')
  expect(shown).toContain('https://github.com/snakers4/silero-vad@94f0fb1')
  expect(shown).toContain('sample_rate = 16000')
  expect(shown).toContain('f1 = 0.93')
  expect(shown).toContain('esc-50 sha256:ab')
  expect(shown).toContain('silero_vad_legacy.onnx')
  await server.ok('alias', 'set', 'vad@production', '2', '--reason', 'better on noisy calls')
  expect(await server.ok('resolve', 'vad@production')).toMatch(/^default\/vad:2 sha256:[0-9a-f]{64}\n$/)
  expect(await server.ok('pull', 'vad@production', join(server.home, 'out'))).toContain('verified')
  const pulled = await readFile(join(server.home, 'out', 'silero_vad_v5.onnx'))
  expect(pulled.equals(await readFile(join(SILERO, 'silero_vad_v5.onnx')))).toBe(true)
  await vi.waitFor(async () => {
    const log = await server.ok('log', 'vad')
    expect(log).toMatch(/admin +model created +default\/vad\n/)
    expect(log).toMatch(/admin +version created +default\/vad:2/)
    expect(log).toMatch(/admin +alias moved nothing → 2 +default\/vad@production +better on noisy calls/)
    expect(log).not.toContain('manifest read')
    for (const ref of ['vad:2', 'vad@production']) {
      expect(await server.ok('log', ref, '--all')).toMatch(/admin +manifest read +default\/sha256:/)
    }
  }, PATIENCE)
})

describe('alias', () => {
  test('moves, rolls back, and has a history', async () => {
    for (const size of [1, 2, 3])
      await server.json('push', await server.write(`alias-${size}.bin`, randomBytes(size * 10)), 'moving')
    await server.ok('alias', 'set', 'moving@production', '1')
    await server.ok('alias', 'set', 'moving@production', '2', '--reason', 'better')
    expect(await server.ok('alias', 'set', 'moving@production', '2')).toContain('already')
    expect(await server.ok('alias', 'rollback', 'moving@production', '--reason', 'worse')).toContain(
      'version 1 (was version 2)',
    )
    expect(await server.ok('alias', 'history', 'moving@production')).toMatch(
      /2 +1 +admin +worse\n.*1 +2 +admin +better\n.*– +1 /,
    )
    const { moves } = await server.json<{ moves: { moveTime: string; toNumber: number }[] }>(
      'alias',
      'history',
      'moving',
    )
    expect(await server.ok('resolve', 'moving@production', '--at', moves[1]!.moveTime)).toContain('default/moving:2')
    expect(await server.ok('alias', 'remove', 'moving@production')).toContain('removed')
    expect((await server.run('resolve', 'moving@production')).code).toBe(3)
  })

  test('reports who moved it first', async () => {
    for (const size of [4, 5])
      await server.json('push', await server.write(`won-${size}.bin`, randomBytes(size * 10)), 'won')
    await server.ok('alias', 'set', 'won@production', '1', '--reason', 'first come')
    const { code, err } = await server.run('alias', 'set', 'won@production', '2', '--expect', '0')
    expect(code).toBe(5)
    expect(err).toContain('won@production now points at version 1: admin moved it ("first come")')
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
    [3, ['alias', 'history', 'vad@nope']],
    [3, ['list', 'nope/']],
    [3, ['role', 'list', '-n', 'ghost']],
    [5, ['model', 'create', 'vad']],
    [1, ['push', '/no/such/file', 'vad']],
  ])('%i for %j', async (expected, args) => {
    const { code, err, out } = await server.run(...args)
    expect(code).toBe(expected)
    expect(err).toMatch(/^modelkeep: /)
    expect(out).toBe('')
  })

  test('4 for an unknown token', async () => {
    const { code, err } = await runCli(['list'], { ...server.environment, MODELKEEP_TOKEN: 'mk_wrong' })
    expect(err).toContain('MODELKEEP_TOKEN')
    expect(code).toBe(4)
  })

  test('4 without a token for a server other than that of the data directory', async () => {
    const { code, err } = await server.run('list', '--address', 'http://localhost:1')
    expect(err).toContain('no token')
    expect(code).toBe(4)
  })

  test('6 for an unreachable server, and without a server', async () => {
    const nobody = { MODELKEEP_ADDRESS: 'http://127.0.0.1:1', MODELKEEP_TOKEN: 'mk_x' }
    const silent = await runCli(['list'], nobody)
    expect(silent).toMatchObject({ code: 6, err: expect.stringContaining('npm start') as string })
    const pushing = await runCli(['push', join(SILERO, 'silero_vad_v5.onnx'), 'vad'], nobody)
    expect(pushing).toMatchObject({
      code: 6,
      err: expect.stringContaining('run the same command again to resume') as string,
    })
    const unknown = await runCli(['list'], { MODELKEEP_DATA: join(server.home, 'nothing') })
    expect(unknown).toMatchObject({ code: 6, err: expect.stringContaining('npm start') as string })
  })

  test('6 for an address of another kind of server', async () => {
    const other = createServer((_, response) => void response.end('hello'))
    await new Promise<void>((done) => void other.listen(0, '127.0.0.1', done))
    const { port } = other.address() as AddressInfo
    for (const [scheme, message] of [
      ['http', 'not that of a Modelkeep server'],
      ['https', 'does not use TLS'],
    ]) {
      const environment = { MODELKEEP_ADDRESS: `${scheme}://127.0.0.1:${port}`, MODELKEEP_TOKEN: 'mk_x' }
      const { code, err } = await runCli(['list'], environment)
      expect(err).toContain(message)
      expect(err.trim().split('\n')).toHaveLength(2)
      expect(code).toBe(6)
    }
    other.close()
  })

  test('prints messages that name options instead of fields', async () => {
    const latest = await server.run('alias', 'set', 'vad@latest', '1')
    expect(latest).toMatchObject({ code: 2, err: expect.stringMatching(/^modelkeep: the alias must not be/) as string })
    const future = await server.run('resolve', 'vad@production', '--at', '2999-01-01')
    expect(future).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^modelkeep: --at must not be later/) as string,
    })
    const used = await server.run('version', 'delete', 'vad:2', '--yes')
    expect(used).toMatchObject({ code: 5, err: expect.stringContaining('modelkeep alias list vad\n') as string })
  })

  test('prints reasons in JSON', async () => {
    const { code, err } = await server.run('show', 'nowhere', '--json')
    expect(code).toBe(3)
    expect(JSON.parse(err)).toMatchObject({ error: { reason: 'MODEL_NOT_FOUND', exit: 3 } })
  })
})

test('a token has the rights of its roles until it is revoked', async () => {
  await server.ok('namespace', 'create', 'fraud')
  const made = await server.json<{ token: { id: string }; secret: string }>(
    'token',
    'create',
    'alice',
    '--expires',
    '1d',
  )
  const alice = { MODELKEEP_ADDRESS: await server.address(), MODELKEEP_TOKEN: made.secret }
  const file = await server.write('alice.bin', randomBytes(10))
  await server.ok('role', 'grant', 'alice', 'reader', '-n', 'fraud')
  const denied = await runCli(['push', file, 'fraud/scorer'], alice)
  expect(denied.code).toBe(4)
  await server.ok('role', 'grant', 'alice', 'contributor', '-n', 'fraud')
  await vi.waitFor(
    async () => expect((await runCli(['push', file, 'fraud/scorer'], alice)).out).toContain('fraud/scorer:1'),
    PATIENCE,
  )
  expect((await runCli(['list'], alice)).out).not.toContain('default/')
  expect(await server.ok('list', 'fraud/')).toContain('fraud/scorer')
  expect(await server.ok('list', 'fraud')).toContain('fraud/scorer')
  expect(await server.ok('role', 'list', '-n', 'fraud')).toMatch(/alice +contributor +fraud/)
  await server.ok('token', 'revoke', made.token.id)
  await vi.waitFor(async () => expect((await runCli(['list'], alice)).code).toBe(4), PATIENCE)
  expect(await server.ok('token', 'list', '--principal', 'alice')).toContain('revoked')
})

test('updates, renames, archives and deletes models and versions', async () => {
  await server.json(
    'push',
    await server.write('life.bin', randomBytes(10)),
    'life',
    '--label',
    'team=voice',
    '--semver',
    '1.2.0',
  )
  await server.ok('model', 'update', 'life', '--label', 'tier=gold', '--owner', 'voice team')
  await server.ok('model', 'update', 'life', '--label', 'tier=silver', '--description', '# What it is for')
  expect(await server.ok('show', 'life')).toMatch(/owner +voice team\n(.*\n)*.*What it is for/)
  await server.ok('version', 'update', 'life:1', '--label', 'checked=yes', '--remove-label', 'team')
  const { version } = await server.json<{ version: { labels: unknown } }>('show', 'life:1.2.0')
  expect(version.labels).toEqual({ checked: 'yes' })
  await server.ok('model', 'rename', 'life', 'afterlife')
  expect(await server.ok('show', 'life')).toContain('default/afterlife')
  await server.ok('model', 'archive', 'afterlife', '--reason', 'done')
  expect(await server.ok('list')).not.toContain('afterlife')
  expect(await server.ok('list', '--filter', 'state = ARCHIVED')).toContain('afterlife')
  expect((await server.run('push', join(SILERO, 'silero_vad_v6.onnx'), 'afterlife')).code).toBe(5)
  await server.ok('model', 'unarchive', 'afterlife')
  await server.ok('model', 'archive', 'afterlife')
  expect((await server.run('model', 'delete', 'afterlife')).code).toBe(2)
  await server.ok('model', 'delete', 'afterlife', '--yes')
  await vi.waitFor(async () => expect(await server.ok('log', 'afterlife')).toContain('model deleted'), PATIENCE)
  expect(await server.ok('log', 'life')).toMatch(/model created +default\/life\n[^]*model deleted +default\/afterlife/)
})

test('prints every list as JSON', async () => {
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
  for (const call of [...calls, ...more, ['role', 'list']]) expect(await server.json(...call)).toBeTypeOf('object')
})
