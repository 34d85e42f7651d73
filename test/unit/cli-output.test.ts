import { create } from '@bufbuild/protobuf'
import { Code, ConnectError } from '@connectrpc/connect'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { ModelSchema } from '#gen/modelkeep/metadata/v1/model_pb.ts'
import { ModelkeepError } from '../../services/lib/errors/errors.ts'
import { toConnectError } from '../../services/lib/errors/connect-error.ts'
import { parseDuration } from '../../clients/cli/commands/access/token.ts'
import { CliError } from '../../clients/cli/terminal/cli-error.ts'
import { explain } from '../../clients/cli/terminal/failure.ts'
import { bytes, facts, jsonOf, plain, shortDigest, table, time } from '../../clients/cli/terminal/output.ts'
import { takePages } from '../../clients/cli/terminal/pages.ts'
import { requestIdOf } from '../../clients/cli/push/register.ts'
import { isRunning, parseAddress, readSettings } from '../../clients/cli/settings.ts'
import { runCli } from '../support/cli.ts'

const directory = mkdtempSync(join(tmpdir(), 'modelkeep-cli-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe('output', () => {
  test('aligns tables without borders', () => {
    expect(
      table(
        ['MODEL', 'BY'],
        [
          ['fraud/scorer', 'alice'],
          ['vad', 'bob'],
        ],
      ),
    ).toBe('MODEL         BY\nfraud/scorer  alice\nvad           bob')
  })

  test('omits facts without a value', () => {
    expect(
      facts([
        ['id', '1'],
        ['semver', ''],
        ['digest', 'x'],
      ]),
    ).toBe('id      1\ndigest  x')
  })

  test('removes escape sequences from untrusted text', () => {
    const nasty = 'a\u001b[2Jb\u0007c\u202ed\r\ne'
    expect(table(['X'], [[nasty]])).toBe('X\nab c d e')
    expect(plain(`${nasty}\n2`)).toBe('ab c d \ne\n2')
  })

  test('formats sizes, times and digests briefly', () => {
    expect([0, 1023, 1024, 1_572_864, 107_374_182_400n].map(bytes)).toEqual([
      '0 B',
      '1023 B',
      '1.0 KiB',
      '1.5 MiB',
      '100 GiB',
    ])
    expect(time({ $typeName: 'google.protobuf.Timestamp', seconds: 1_795_000_000n, nanos: 5 })).toBe(
      '2026-11-18 11:06:40',
    )
    expect(shortDigest(`sha256:${'ab'.repeat(32)}`)).toBe('sha256:abababababab…')
  })

  test('includes empty fields in JSON', () => {
    expect(jsonOf(ModelSchema, create(ModelSchema, { name: 'vad' }))).toMatchObject({
      name: 'vad',
      owner: '',
      labels: {},
    })
  })
})

describe('a failure', () => {
  test.each([
    ['FIELD_INVALID', 'usage'],
    ['MODEL_NOT_FOUND', 'notFound'],
    ['PERMISSION_DENIED', 'denied'],
    ['TOKEN_EXPIRED', 'denied'],
    ['VERSION_IN_USE', 'conflict'],
    ['ETAG_MISMATCH', 'conflict'],
    ['OVERLOADED', 'unavailable'],
    ['DIGEST_MISMATCH', 'integrity'],
    ['BLOB_CORRUPT', 'integrity'],
    ['INTERNAL', 'failed'],
  ] as const)('with the reason %s has the exit code %s', (reason, exit) => {
    const failure = explain(toConnectError(new ModelkeepError(reason, 'so it is', {})))
    expect(failure).toMatchObject({ reason, exit, message: 'so it is' })
  })

  test('names all invalid fields', () => {
    const violations = [
      { field: 'name', rule: 'must not be empty' },
      { field: 'owner', rule: 'is too long' },
    ]
    const error = toConnectError(new ModelkeepError('FIELD_INVALID', 'name must not be empty', {}, violations))
    expect(explain(error).message).toBe('name must not be empty; owner is too long')
  })

  test.each([
    ['ERR_SSL_WRONG_VERSION_NUMBER', '4061:error:0A00010B', 'server does not use TLS'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate', 'server certificate is not trusted'],
    ['ERR_HTTP2_ERROR', 'Protocol error', 'not that of a Modelkeep server'],
    ['', 'unsupported content type null', 'not that of a Modelkeep server'],
    ['ERR_HTTP2_STREAM_ERROR', 'http/2 stream closed with error code CANCEL (0x8)', 'closed the connection'],
  ])('of a foreign server (%s) is one clear message', (code, text, message) => {
    const cause = Object.assign(new Error(text), { code })
    const failure = explain(new ConnectError(text, Code.Internal, undefined, undefined, cause))
    expect(failure).toMatchObject({ exit: 'unavailable', message: expect.stringContaining(message) as string })
  })

  test('names the model if the service does not', () => {
    const error = toConnectError(new ModelkeepError('VERSION_IN_USE', 'aliases point at it', { aliases: 'production' }))
    expect(explain(error, 'fraud/scorer').hint).toContain('modelkeep alias list fraud/scorer')
    const missing = toConnectError(new ModelkeepError('VERSION_NOT_FOUND', 'no', { version: 'default/parent:1' }))
    expect(explain(missing, 'fraud/scorer').hint).toContain('modelkeep list default/parent')
  })

  test('without a server prints how to start one', () => {
    const cause = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' })
    const error = new ConnectError('x', Code.Unavailable, undefined, undefined, cause)
    expect(explain(error)).toMatchObject({ exit: 'unavailable', hint: 'Start one with: npm start' })
  })
})

describe('server and token', () => {
  const running = join(directory, 'running')
  const server = { address: 'http://127.0.0.1:7700', pid: process.pid }
  const settings = (...[options, env]: Parameters<typeof readSettings>) => readSettings(options, env)

  test('are read from options, then the environment, then the data directory', () => {
    execFileSync('mkdir', ['-p', running])
    writeFileSync(join(running, 'server.json'), JSON.stringify(server))
    writeFileSync(join(running, 'admin-token'), 'mk_admin\n')
    const here = { MODELKEEP_DATA: running }
    expect(settings({}, here)).toMatchObject({ addresses: { audit: server.address }, token: 'mk_admin' })
    const env = { ...here, MODELKEEP_ADDRESS: 'registry:443', MODELKEEP_TOKEN: 'mk_env' }
    expect(settings({}, env)).toMatchObject({ addresses: { audit: 'http://registry:443' }, token: 'mk_env' })
    expect(settings({ address: 'https://other', token: 'mk_flag' }, env)).toMatchObject({
      addresses: { metadata: 'https://other' },
      token: 'mk_flag',
    })
    expect(settings({ address: server.address }, here)).toMatchObject({ token: 'mk_admin' })
  })

  test('the token of the data directory is sent to its own server only', () => {
    const here = { MODELKEEP_DATA: running }
    expect(() => settings({ address: 'http://127.0.0.1:7701' }, here)).toThrow('no token')
    const apart = {
      MODELKEEP_METADATA_ADDRESS: server.address,
      MODELKEEP_ARTIFACT_ADDRESS: server.address,
      MODELKEEP_AUDIT_ADDRESS: 'http://evil:1',
    }
    expect(() => settings({}, { ...here, ...apart })).toThrow('no token')
  })

  test('a stopped server is reported', () => {
    writeFileSync(join(running, 'server.json'), JSON.stringify({ ...server, pid: 2 ** 30 }))
    expect(() => settings({}, { MODELKEEP_DATA: running })).toThrow('is not running')
  })

  test.runIf(process.platform === 'linux')('a zombie process does not count as running', async () => {
    const parent = spawn('sh', ['-c', 'true & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] })
    const [text] = (await once(parent.stdout, 'data')) as [Buffer]
    await expect.poll(() => isRunning(Number(text))).toBe(false)
    expect(isRunning(parent.pid!)).toBe(true)
    parent.kill()
  })

  test('all three addresses are required', () => {
    expect(() => settings({}, { MODELKEEP_AUDIT_ADDRESS: 'http://a:1', MODELKEEP_DATA: directory })).toThrow('missing')
    for (const text of ['ftp://x', 'http://', 'http://x/path', 'http://u:p@x', 'not an address']) {
      expect(() => parseAddress(text, '--address')).toThrow(CliError)
    }
  })
})

test('parses durations of hours and days up to a year', () => {
  expect(parseDuration('12h')).toBe(12 * 3_600_000)
  expect(parseDuration('90d')).toBe(90 * 86_400_000)
  for (const text of ['0d', '366d', '90', 'd', '-1d', '1.5d']) expect(() => parseDuration(text)).toThrow(CliError)
})

test('reads pages up to the limit, and reports whether there are more', async () => {
  const fetchPage = ({ pageToken }: { pageToken: string }) => {
    const first = Number(pageToken || 0)
    return Promise.resolve({ items: [first, first + 1], nextPageToken: first < 8 ? String(first + 2) : '' })
  }
  expect(await takePages(3, fetchPage)).toEqual({ items: [0, 1, 2], hasMore: true })
  expect(await takePages(Infinity, fetchPage)).toMatchObject({ hasMore: false })
})

test('gives the same push the same request id, and another push another', () => {
  const asked = { manifestDigest: 'sha256:a', labels: { a: '1', b: '2' } }
  const id = requestIdOf(asked, '')
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(requestIdOf({ ...asked, labels: { b: '2', a: '1' } }, '')).toBe(id)
  expect(requestIdOf(asked, 'deleted before')).not.toBe(id)
  expect(requestIdOf({ ...asked, labels: { a: '1' } }, '')).not.toBe(id)
})

describe('completion', () => {
  test('is valid bash that knows commands and options', async () => {
    const { out, code } = await runCli(['completion', 'bash'])
    expect(code).toBe(0)
    const file = join(directory, 'completion.bash')
    writeFileSync(file, out)
    execFileSync('bash', ['-n', file])
    const complete = (...words: string[]): string => {
      const script = `source ${file}; COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _modelkeep; echo "\${COMPREPLY[@]}"`
      return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim()
    }
    expect(complete('modelkeep', 'al')).toBe('alias')
    expect(complete('modelkeep', 'alias', 'ro')).toBe('rollback')
    expect(complete('modelkeep', 'push', '--par')).toBe('--param --parent')
    expect(complete('modelkeep', 'list', '--js')).toBe('--json')
  })

  test('supports zsh and fish, and rejects other shells', async () => {
    expect((await runCli(['completion', 'zsh'])).out).toContain('#compdef modelkeep')
    expect((await runCli(['completion', 'fish'])).out).toContain('complete -c modelkeep')
    expect((await runCli(['completion', 'powershell'])).code).toBe(2)
  })
})

test('help lists the exit codes', async () => {
  const { out, code } = await runCli(['--help'])
  expect(code).toBe(0)
  expect(out).toContain('7 integrity check failed')
})
