import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { ConfigError } from '../../services/lib/process/env.ts'
import { readStandaloneSettings, UsageError } from '../../services/standalone/config.ts'
import { openDataDirectory } from '../../services/standalone/data-directory.ts'

const home = await mkdtemp(join(tmpdir(), 'modelkeep-lock-'))
afterAll(() => rm(home, { recursive: true, force: true }))

let path = ''
let count = 0
beforeEach(async () => {
  path = join(home, String((count += 1)))
  await mkdir(path)
})

test('one process at a time locks a data directory', async () => {
  const first = openDataDirectory(path)
  expect(() => openDataDirectory(path)).toThrow(/data directory .* is in use by process \d+/)
  first.writeAddress('http://127.0.0.1:1')
  expect(JSON.parse(await readFile(join(path, 'server.json'), 'utf8'))).toEqual({
    address: 'http://127.0.0.1:1',
    pid: process.pid,
  })
  first.release()
  first.release()
  expect(await readdir(path)).toEqual(['objects'])
  openDataDirectory(path).release()
})

test.each([
  ['a process that is gone', { pid: 2 ** 22 - 1, started: '1' }],
  ['a process whose id another has now', { pid: process.ppid, started: '1' }],
  ['this process in another life', { pid: process.pid, started: '1' }],
  ['an unknown process', 'garbage'],
])('replaces the leftover lock of %s', async (_name, owner) => {
  await writeFile(join(path, 'lock'), JSON.stringify(owner))
  await writeFile(join(path, 'server.json'), '{}')
  const data = openDataDirectory(path)
  await expect(stat(join(path, 'server.json'))).rejects.toThrow('ENOENT')
  data.release()
})

test('does not remove a lock that another process has taken', async () => {
  const data = openDataDirectory(path)
  await writeFile(join(path, 'lock'), JSON.stringify({ pid: 1, started: '1' }))
  data.release()
  expect(await readdir(path)).toContain('lock')
})

test('reads arguments and settings; arguments take precedence', () => {
  const read = (args: string[], environment = {}) => readStandaloneSettings(args, environment)
  expect(read([])).toMatchObject({ host: '127.0.0.1', port: 7700, logLevel: 'warn', downloads: 'manifests' })
  expect(read([])!.directory).toBe(resolve(import.meta.dirname, '..', '..', '.modelkeep'))
  expect(read([], { MODELKEEP_DATA: '/srv/modelkeep' })!.directory).toBe('/srv/modelkeep')
  expect(read(['--data', '/a', '--port=0', '--host', '::'], { MODELKEEP_DATA: '/b' })).toMatchObject({
    directory: '/a',
    port: 0,
    host: '::',
  })
  expect(read([], { AUDIT_DOWNLOADS: 'all' })!.downloads).toBe('all')
  expect(read(['--help'])).toBeUndefined()
  expect(() => read(['--bogus'])).toThrow(UsageError)
  expect(() => read(['more'])).toThrow(UsageError)
  expect(() => read(['--port', '99999'], { LOG_LEVEL: 'loud' })).toThrow(ConfigError)
})

test.each([
  [[], 2, 'usage: npm run service -- metadata|artifact|audit'],
  [['bogus'], 2, 'usage: '],
  [['audit', 'metadata'], 2, 'usage: '],
  [['audit'], 1, 'METADATA_ADDRESS is missing'],
  [['metadata'], 1, 'ARTIFACT_ADDRESS is missing'],
  [['artifact'], 1, 'S3_ENDPOINT is missing'],
])('npm run service -- %s exits with %i and prints why', async (args, code, text) => {
  const options = { cwd: resolve(import.meta.dirname, '..', '..'), env: { PATH: process.env['PATH'] } }
  const ended = await new Promise<{ code: unknown; said: string }>((done) =>
    execFile(process.execPath, ['services/main.ts', ...args], options, (error, _out, said) =>
      done({ code: error?.code, said }),
    ),
  )
  expect(ended.code).toBe(code)
  expect(ended.said).toContain(text)
})
