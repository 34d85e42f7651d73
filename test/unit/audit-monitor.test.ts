// `modelkeep audit consistency` and `monitor` with honest and dishonest logs.
import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { cp, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { formatConsistency } from '../../clients/verifier/consistency-file.ts'
import { formatEntry, formatHeader } from '../../clients/verifier/export/export-file.ts'
import { verifyFiles } from '../../clients/verifier/verify-file.ts'
import { watchLog } from '../../clients/verifier/monitor/watch-log.ts'
import { EXIT, type VerifierError } from '../../clients/verifier/verifier-error.ts'
import { consistencyParts, hashLeaf, type Range } from '../../services/lib/tlog/merkle.ts'
import { findVerifier, formatVerifierKey } from '../../services/lib/tlog/note.ts'
import { growTree, hashParts } from '../../services/lib/tlog/tiles.ts'
import { serveTiles, type TileServer } from '../support/tile-server.ts'

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000 })
const ORIGIN = 'log.example/test'
const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const VKEY = formatVerifierKey(ORIGIN, publicKey)
const ROOT = join(import.meta.dirname, '..', '..')
const home = await mkdtemp(join(tmpdir(), 'modelkeep-monitor-'))
const state = join(home, 'state')
let log: TileServer
beforeAll(async () => {
  log = await serveTiles(ORIGIN, privateKey)
  await cp(join(ROOT, 'package.json'), join(home, 'package.json'))
  // The files that the README says the verifier needs.
  for (const folder of [join('services', 'lib', 'tlog'), join('clients', 'verifier')]) {
    await cp(join(ROOT, folder), join(home, folder), { recursive: true })
  }
})
beforeEach(async () => {
  await rm(state, { force: true })
  await rm(`${state}.evidence`, { force: true })
})
afterAll(async () => {
  await log.close()
  await rm(home, { recursive: true, force: true })
})

/** Runs the verifier in a directory without packages. */
function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const script = join(home, 'clients', 'verifier', 'main.ts')
  return new Promise((resolve) => {
    execFile(process.execPath, [script, ...args, '--key', VKEY], { cwd: home }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })
}

interface Ended {
  code: number
  out: string
  err: string
}

/** Returns the exit code and output that the command would have. */
async function ended(work: (out: string[]) => Promise<unknown>): Promise<Ended> {
  const out: string[] = []
  const failure = await work(out).then(
    () => undefined,
    (error: VerifierError) => error,
  )
  return { code: failure ? EXIT[failure.exit] : 0, out: out.join('\n'), err: failure?.message ?? '' }
}

function monitor(options: { staleAfter?: string } = {}): Promise<Ended> {
  const { signal } = new AbortController()
  const wanted = { key: [VKEY], state, once: true, ...options }
  return ended((out) =>
    watchLog(
      log.address,
      wanted,
      ({ lines }) => out.push(...lines),
      () => {},
      signal,
    ),
  )
}

function leaves(count: number, fork = 'log'): string[] {
  return Array.from({ length: count }, (_, at) =>
    JSON.stringify({ event: { producer: fork, sequence: String(at + 1), type: 'a.b.v1' } }),
  )
}

function exportOf(note: string, content: string[]): string {
  const lines = content.map((leaf, at) => formatEntry(at, hashLeaf(leaf), Buffer.from(leaf)).toString())
  return [formatHeader(note), ...lines, ''].join('\n')
}

function proofOf(oldSize: number, content: string[], checkpoint: string): string {
  const range: Range = { size: 0, peaks: [] }
  const tiles = growTree(
    range,
    content.map((leaf) => hashLeaf(leaf)),
  )
  const hashes = hashParts(consistencyParts(oldSize, content.length), tiles)
  return formatConsistency({ oldSize: BigInt(oldSize), hashes, checkpoint })
}

async function consistency(oldText: string, newText: string) {
  await writeFile(join(home, 'old'), oldText)
  await writeFile(join(home, 'new'), newText)
  const trust = { name: ORIGIN, keys: [findVerifier(VKEY)!], policy: undefined }
  return ended(async (out) => out.push(...(await verifyFiles(join(home, 'old'), join(home, 'new'), trust)).lines))
}

test('the monitor follows a growing log over several levels of tiles, and stores the verified checkpoint', async () => {
  for (const size of [0, 1, 5, 256, 300, 300, 513, 66_000, 66_001]) {
    const note = log.show(leaves(size))
    expect(await monitor()).toMatchObject({ code: 0, out: expect.stringContaining(`verified: ${size} entries`) })
    expect(await readFile(state, 'utf8')).toBe(note)
  }
})

test('the monitor reports a fork of the same or a larger size with exit code 7, and stores the evidence', async () => {
  const honest = log.show(leaves(300))
  await monitor()
  for (const size of [300, 301, 1000]) {
    const forged = log.show([...leaves(299), ...leaves(size - 299, 'other')])
    const { code, err } = await monitor()
    expect([code, err]).toEqual([7, expect.stringContaining('forked')])
    expect(await readFile(`${state}.evidence`, 'utf8')).toBe(forged)
    expect(await readFile(state, 'utf8')).toBe(honest)
  }
})

test('the monitor reports a log that was rolled back, hides tiles or serves tiles that it did not sign', async () => {
  log.show(leaves(300))
  await monitor()
  log.show(leaves(299))
  expect(await monitor()).toMatchObject({ code: 7, err: expect.stringContaining('rolled back') })
  log.show(leaves(600))
  log.answers.delete('/tile/0/001')
  expect(await monitor()).toMatchObject({ code: 7, err: expect.stringContaining('does not serve /tile/0/001') })
  log.show(leaves(600))
  const tile = Buffer.from(log.answers.get('/tile/0/002.p/88')!)
  tile[5]! ^= 1
  log.answers.set('/tile/0/002.p/88', tile)
  expect((await monitor()).code).toBe(7)
  await rm(state)
  expect((await monitor()).code).toBe(7)
})

test('the monitor reports a stale log with 8, an unreachable one with 6, and an invalid state file with 2', async () => {
  log.show(leaves(3))
  await monitor()
  expect((await monitor({ staleAfter: '600' })).code).toBe(0)
  const before = new Date(Date.now() - 3_600_000)
  await utimes(state, before, before)
  expect(await monitor({ staleAfter: '600' })).toMatchObject({ code: 8, err: expect.stringContaining('log is stale') })
  log.answers.delete('/checkpoint')
  expect((await monitor()).code).toBe(6)
  await writeFile(state, 'something else')
  log.show(leaves(3))
  expect((await monitor()).code).toBe(2)
})

test('the monitor continues after a failure, and ends when the log is forked', async () => {
  log.show(leaves(3))
  const running = run('monitor', log.address, '--state', state, '--every', '1')
  await expect.poll(() => readFile(state, 'utf8').catch(() => '')).toContain(`${ORIGIN}\n3\n`)
  log.answers.delete('/checkpoint')
  log.show(leaves(4))
  await expect.poll(() => readFile(state, 'utf8')).toContain(`${ORIGIN}\n4\n`)
  log.show(leaves(4, 'other'))
  expect(await running).toMatchObject({ code: 7, err: expect.stringContaining('two different trees of 4') })
})

test('accepts an export or a proven checkpoint that continues an older one', async () => {
  const [old, content] = [leaves(5), leaves(9)]
  const [oldNote, note] = [log.show(old), log.show(content)]
  const proved = proofOf(5, content, note)
  for (const first of [oldNote, exportOf(oldNote, old), proofOf(2, old, oldNote)]) {
    for (const second of [exportOf(note, content), proved]) {
      expect(await consistency(first, second)).toMatchObject({
        code: 0,
        out: `consistent: the 9 entries of ${ORIGIN} begin with the 5 entries signed before`,
      })
    }
  }
  expect((await consistency(note, note)).code).toBe(0)
})

test('distinguishes a fork, a rollback and files that prove nothing', async () => {
  const [old, content] = [leaves(5), [...leaves(4), ...leaves(5, 'other')]]
  const [oldNote, note] = [log.show(old), log.show(content)]
  expect(await consistency(oldNote, proofOf(5, content, note))).toMatchObject({ code: 7 })
  const own = content.map((leaf, at) => leaf.replace(/"sequence":"\d+"/, `"sequence":"${at < 4 ? at + 1 : at - 3}"`))
  expect(await consistency(oldNote, exportOf(log.show(own), own))).toMatchObject({
    code: 7,
    err: expect.stringContaining('the log was forked'),
  })
  expect(await consistency(note, oldNote)).toMatchObject({ code: 7, err: expect.stringContaining('rolled back') })
  expect((await consistency(oldNote, log.show(leaves(9)))).code).toBe(2)
  expect((await consistency(oldNote, proofOf(4, content, note))).code).toBe(2)
  expect((await consistency('nothing', note)).code).toBe(2)
  expect((await consistency(oldNote, oldNote.replace('5', '6'))).code).toBe(7)
})

test('the verifier runs without any package', async () => {
  const [note, content] = [log.show(leaves(9)), leaves(9)]
  await writeFile(join(home, 'export'), exportOf(note, content))
  await writeFile(join(home, 'note'), note)
  expect(await run('verify', 'export')).toMatchObject({ code: 0, out: expect.stringContaining('verified: 9 entries') })
  expect(await run('consistency', 'note', 'export')).toMatchObject({ code: 0 })
  expect(await run('monitor', log.address, '--state', state, '--once')).toMatchObject({ code: 0 })
  await writeFile(join(home, 'export'), exportOf(note, content.with(3, content[4]!)))
  expect(await run('verify', 'export')).toMatchObject({ code: 7, err: expect.stringContaining('export: line 5: ') })
})
