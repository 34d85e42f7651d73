// The log as the `modelkeep` command shows it, on a real standalone server.
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { startCli } from '../support/cli.ts'
import { StandaloneHome } from '../support/standalone-home.ts'

/** Events reach the log with a short delay. */
const PATIENCE = { timeout: 25_000, interval: 300 }

let server: StandaloneHome

beforeAll(async () => {
  server = await StandaloneHome.open()
})

afterAll(() => server.close())

test('the log of a model covers all its names, but no other models of these names', async () => {
  await server.json('push', await server.write('names.bin', randomBytes(10)), 'early', '--alias', 'production')
  await server.ok('model', 'rename', 'early', 'late')
  await server.json('push', await server.write('names-2.bin', randomBytes(10)), 'late', '--alias', 'production')
  const model = await server.json<{ id: string }>('show', 'late')
  await vi.waitFor(async () => {
    for (const name of ['early', 'late', model.id]) {
      const log = await server.ok('log', name)
      expect(log).toMatch(/model created +default\/early\n/)
      expect(log).toMatch(/version created +default\/early:1\n/)
      expect(log).toMatch(/alias moved nothing → 1 +default\/early@production/)
      expect(log).toMatch(/model renamed early → late +default\/late\n/)
      expect(log).toMatch(/alias moved 1 → 2 +default\/late@production/)
    }
  }, PATIENCE)
  for (const name of ['early', 'late']) {
    expect(await server.ok('log', `${name}@production`)).toMatch(/nothing → 1 [^]*1 → 2 /)
    expect(await server.ok('log', `${name}:1`)).toMatch(/version created +default\/early:1\n/)
  }
  await server.ok('model', 'create', 'early')
  await vi.waitFor(async () => expect(await server.ok('log', 'early')).toContain('model created'), PATIENCE)
  expect(await server.ok('log', 'early')).not.toContain('renamed')
  await server.ok('model', 'update', 'early', '--owner', 'another')
  await vi.waitFor(async () => expect(await server.ok('log', 'early')).toContain('model updated'), PATIENCE)
  expect(await server.ok('log', 'late')).not.toContain('model updated')
})

test('the whole log hides entries about blobs by default', async () => {
  const files = /(blob committed|manifest created) +default\/sha256:[0-9a-f]{12}…/
  await vi.waitFor(async () => expect(await server.ok('log', '--all')).toMatch(files), PATIENCE)
  expect(await server.ok('log', '--limit', '500')).not.toMatch(/blob committed|manifest created/)
  expect(JSON.stringify(await server.json('log', '--limit', '500'))).toMatch(/sha256:[0-9a-f]{64}/)
})

test('log --follow prints new entries, and resumes after a lost connection', { timeout: 60_000 }, async () => {
  const follow = startCli(['log', '--follow', '--limit', '1', '--json'], server.environment)
  let seen = ''
  follow.process.stdout!.on('data', (text: string) => (seen += text))
  await vi.waitFor(() => expect(seen).not.toBe(''), PATIENCE)
  await server.ok('model', 'create', 'followed-1')
  await vi.waitFor(() => expect(seen).toContain('default/followed-1'), PATIENCE)
  const { port } = new URL(await server.address())
  await server.stop()
  await server.start(Number(port))
  await server.ok('model', 'create', 'followed-2')
  await vi.waitFor(() => expect(seen).toContain('default/followed-2'), PATIENCE)
  for (const line of seen.trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('event')
  expect(seen.match(/"default\/followed-1"/g)).toHaveLength(1)
  follow.process.kill('SIGINT')
  expect(await follow.ended).toMatchObject({ code: 130, err: 'modelkeep: interrupted\n' })
})
