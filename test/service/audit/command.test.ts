// `modelkeep audit` as a user runs it.
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeEvents, makeSigner, PLATFORM_TOKEN, startAudit, type RunningAudit } from '../../support/audit.ts'
import { runCli } from '../../support/cli.ts'
import { createDatabase } from '../../support/database.ts'

const home = await mkdtemp(join(tmpdir(), 'modelkeep-audit-'))
const database = await createDatabase()
const signer = makeSigner()
const events = makeEvents(1, 300, { reason: 'é "better" \u2028 €' })
const file = join(home, 'log.jsonl')
let audit: RunningAudit
beforeAll(async () => {
  audit = await startAudit(database.url, { signer })
  audit.known.set('mk_fraud', { principal: 'fran', roles: { fraud: 1 } })
  for (let at = 0; at < events.length; at += 100)
    await audit.ingest.appendEvents({ events: events.slice(at, at + 100) })
  await writeFile(join(home, 'key'), `${signer.vkey}\n`)
})
afterAll(async () => {
  await audit.close()
  await database.drop()
  await rm(home, { recursive: true, force: true })
})

const modelkeep = (args: string[], token = PLATFORM_TOKEN) =>
  runCli(['audit', ...args], { MODELKEEP_ADDRESS: audit.address, MODELKEEP_TOKEN: token }, home)
/** Runs `audit verify` without the address of a server. */
const offline = (...args: string[]) => runCli(['audit', 'verify', ...args], {}, home)

test('exports the whole log, and verifies it offline by key or key file', async () => {
  expect(await modelkeep(['export', file])).toMatchObject({ code: 0, out: `exported 300 entries to ${file}\n` })
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  for (const key of [signer.vkey, 'key']) {
    const { code, out } = await offline(file, '--key', key)
    expect([code, out]).toEqual([0, expect.stringContaining('verified: 300 entries of log.example/test, root ')])
    expect(out).toContain('events without gaps: metadata 300')
  }
  const { out } = await offline(file, '--key', 'key', '--json')
  expect(JSON.parse(out)).toMatchObject({ origin: 'log.example/test', size: '300', producers: { metadata: '300' } })
})

test('the verifier in Python accepts the export', async ({ skip }) => {
  const python = await promisify(execFile)('python3', ['--version']).catch(() => undefined)
  if (!python) skip('there is no python3')
  const run = await promisify(execFile)('python3', ['clients/python/verify.py', file, signer.vkey])
  expect(run.stdout).toBe('verified: 300 entries\n')
})

test('exits with 7 for a changed export, and names the line', async () => {
  const changed = join(home, 'changed.jsonl')
  const lines = (await readFile(file, 'utf8')).split('\n')
  await writeFile(changed, lines.with(399, lines[399]!.replace('alice', 'malice')).join('\n'))
  expect(await offline(changed, '--key', 'key')).toMatchObject({
    code: 7,
    err: `modelkeep: ${changed}: line 400: entry 199 does not match its hash: one of the two was changed\n`,
  })
  await writeFile(changed, lines.toSpliced(100, 1).join('\n'))
  const { code, err } = await offline(changed, '--key', 'key', '--json')
  expect([code, JSON.parse(err)]).toMatchObject([7, { error: { reason: 'TAMPERED', exit: 7 } }])
  const { code: foreign } = await offline(file, '--key', makeSigner().vkey)
  expect(foreign).toBe(7)
})

test('exits with 2 without an export or a key', async () => {
  await writeFile(join(home, 'empty'), '')
  for (const [name, key] of [
    ['nowhere.jsonl', 'key'],
    ['empty', 'key'],
    ['key', 'key'],
    ['.', 'key'],
    [file, 'nowhere'],
    [file, `${signer.vkey}x`],
  ] as const) {
    expect((await offline(name, '--key', key)).code).toBe(2)
  }
  expect((await offline(file)).code).toBe(2)
})

test('a reader of the namespace proves one event', async () => {
  const { id } = events[70]!
  expect((await modelkeep(['proof', id, '--out', 'p'], 'mk_fraud')).code).toBe(0)
  expect(await offline('p.tlog-proof', '--key', 'key')).toMatchObject({
    code: 0,
    out: 'verified: p.json is entry 70 of the 300 entries of log.example/test\np.values matches the commitments of the entry\n',
  })
  const leaf = await readFile(join(home, 'p.json'), 'utf8')
  expect(JSON.parse(leaf)).toMatchObject({ event: { id, sequence: '71' } })
  await writeFile(join(home, 'p.json'), leaf.replace('alice', 'malice'))
  expect((await offline('p.tlog-proof', '--key', 'key')).code).toBe(7)
  await rm(join(home, 'p.json'))
  expect((await offline('p.tlog-proof', '--key', 'key')).code).toBe(2)
  expect((await modelkeep(['proof', '01900000-0000-7000-8000-000000000000'])).code).toBe(3)
})

test('prints the newest checkpoint, and verifies it with a key', async () => {
  const { code, out } = await modelkeep(['checkpoint', '--key', 'key'])
  expect([code, out.split('\n').slice(0, 2)]).toEqual([0, ['log.example/test', '300']])
  expect((await modelkeep(['checkpoint', '--key', makeSigner().vkey])).code).toBe(7)
})

test('monitors the log, and proves that it extends an earlier checkpoint', async () => {
  const { out: old } = await modelkeep(['checkpoint'])
  await writeFile(join(home, 'old'), old)
  const watch = () => modelkeep(['monitor', audit.address, '--key', 'key', '--state', 'state', '--once'])
  expect(await watch()).toMatchObject({ code: 0, out: expect.stringContaining('verified: 300 entries') })
  await audit.ingest.appendEvents({ events: makeEvents(301, 10) })
  await expect.poll(async () => (await modelkeep(['checkpoint'])).out.split('\n')[1]).toBe('310')
  expect(await watch()).toMatchObject({ code: 0, out: expect.stringContaining('10 new entries since the last check') })
  const { out: proof } = await modelkeep(['checkpoint', '--since', 'old'])
  await writeFile(join(home, 'new'), proof)
  for (const newer of ['new', 'later.jsonl']) {
    if (newer === 'later.jsonl') await modelkeep(['export', newer])
    expect(await runCli(['audit', 'consistency', 'old', newer, '--key', 'key'], {}, home)).toMatchObject({
      code: 0,
      out: 'consistent: the 310 entries of log.example/test begin with the 300 entries signed before\n',
    })
  }
  const stale = ['monitor', audit.address, '--key', makeSigner().vkey, '--state', 'other', '--once']
  expect((await modelkeep(stale)).code).toBe(7)
})

test('denies an export to a reader of one namespace', async () => {
  expect((await modelkeep(['export', join(home, 'denied.jsonl')], 'mk_fraud')).code).toBe(4)
  await expect(stat(join(home, 'denied.jsonl'))).rejects.toThrow('ENOENT')
})
