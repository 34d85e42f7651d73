// The offline verifiers with several keys of a log, and with a policy of witnesses.
import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import { formatEntry, formatHeader } from '../../clients/verifier/export/export-file.ts'
import { readTrust, type TrustOptions } from '../../clients/verifier/read-trust.ts'
import { EXIT, VerifierError } from '../../clients/verifier/verifier-error.ts'
import { verifyFile } from '../../clients/verifier/verify-file.ts'
import { cosign } from '../../services/lib/tlog/cosignature.ts'
import { appendLeaf, hashLeaf, rootOf, type Range } from '../../services/lib/tlog/merkle.ts'
import { formatCheckpoint, formatVerifierKey, KEY_TYPE, signNote } from '../../services/lib/tlog/note.ts'
import { formatProof } from '../../services/lib/tlog/proof-file.ts'

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000 })

const ORIGIN = 'log.example/test'
const makeKey = () => generateKeyPairSync('ed25519').privateKey
const [old, fresh, stranger, one, two] = [makeKey(), makeKey(), makeKey(), makeKey(), makeKey()]
const vkeyOf = (key = old, name = ORIGIN) => formatVerifierKey(name, key)

const leaf = Buffer.from('{"event":{"producer":"metadata","sequence":"1"},"recordTime":"2026-11-18T11:06:41.000001Z"}')
const range: Range = { size: 0, peaks: [] }
appendLeaf(range, hashLeaf(leaf))
const TEXT = formatCheckpoint({ origin: ORIGIN, size: 1n, root: rootOf(range) })
const lineOf = (key = old, text = TEXT) => signNote(text, ORIGIN, key).split('\n\n')[1]!
const cosigned = (name: string, key = one, text = TEXT) => cosign(text, `witness.example/${name}`, key, 1_790_000_000n)
const noteOf = (...lines: string[]) => `${TEXT}\n${lines.join('')}`

const witnessLine = (name: string, key = one) =>
  `witness ${name} ${formatVerifierKey(`witness.example/${name}`, key, KEY_TYPE.cosignature)}\n`
const POLICY = `log ${vkeyOf()}\n${witnessLine('w1', one)}${witnessLine('w2', two)}group both all w1 w2\nquorum both\n`

const home = await mkdtemp(join(tmpdir(), 'modelkeep-trust-'))
afterAll(() => rm(home, { recursive: true, force: true }))
await writeFile(join(home, 'policy'), POLICY)
await writeFile(join(home, 'any'), POLICY.replace('both all', 'both any'))
await writeFile(join(home, 'broken'), 'quorum nobody\n')
await writeFile(join(home, 'keys'), `${vkeyOf(stranger)}\n${vkeyOf(fresh)}\n`)
await writeFile(join(home, 'p.json'), leaf)

/** The files that options name. */
const FILES = ['policy', 'any', 'broken', 'keys', 'nowhere']

const script = join(import.meta.dirname, '..', '..', 'clients', 'verifier', 'main.ts')
const python = join(import.meta.dirname, '..', '..', 'clients', 'python', 'verify.py')
const run = (command: string, args: string[]) =>
  new Promise<{ code: number; err: string }>((resolve) => {
    execFile(command, args, { cwd: home }, (error, _out, err) => resolve({ code: Number(error?.code ?? 0), err }))
  })

/** Runs a file through the verifier in this process, with its exit code and message. */
async function verifyHere(file: string, trust: TrustOptions): Promise<{ code: number; err: string }> {
  try {
    await verifyFile(join(home, file), await readTrust(trust))
    return { code: 0, err: '' }
  } catch (error) {
    if (!(error instanceof VerifierError)) throw error
    return { code: EXIT[error.exit], err: error.message }
  }
}

/** `trust`: options of the command line. Files are relative to the home directory. */
async function verify(note: string, ...trust: string[]) {
  await writeFile(join(home, 'export'), `${formatHeader(note)}\n${formatEntry(0, hashLeaf(leaf), leaf).toString()}\n`)
  await writeFile(join(home, 'p.tlog-proof'), formatProof({ index: 0n, hashes: [], checkpoint: note }))
  const valuesOf = (option: string) => trust.filter((_, at) => trust[at - 1] === option)
  const inHome = (name: string) => (FILES.includes(name) ? join(home, name) : name)
  const options = { key: valuesOf('--key').map(inHome), policy: valuesOf('--policy').map(inHome)[0] }
  const whole = await verifyHere('export', options)
  expect((await verifyHere('p.tlog-proof', options)).code).toBe(whole.code)
  return whole
}

test('requires a signature by one of several keys, and rejects a wrong one', async () => {
  const both = ['--key', vkeyOf(), '--key', vkeyOf(fresh)]
  expect((await verify(noteOf(lineOf()), ...both)).code).toBe(0)
  expect((await verify(noteOf(lineOf(fresh)), ...both)).code).toBe(0)
  expect((await verify(noteOf(lineOf(), lineOf(fresh)), ...both)).code).toBe(0)
  expect((await verify(noteOf(lineOf(), lineOf(fresh)), '--key', 'keys')).code).toBe(0)
  expect((await verify(noteOf(lineOf(stranger)), ...both)).code).toBe(7)
  expect((await verify(noteOf(lineOf(), lineOf(fresh, 'else\n')), ...both)).code).toBe(7)
  expect((await verify(noteOf(lineOf()), '--key', vkeyOf(), '--key', vkeyOf(fresh, 'log.example/2'))).code).toBe(2)
  expect((await verify(noteOf(lineOf()))).code).toBe(2)
})

test('the verifier in Python reaches the same verdicts', async ({ skip }) => {
  if ((await run('python3', ['--version'])).code !== 0) skip('python3 is not installed')
  const verdict = async (note: string, ...keys: string[]) => {
    await writeFile(join(home, 'export'), `${formatHeader(note)}\n${formatEntry(0, hashLeaf(leaf), leaf).toString()}\n`)
    return (await run('python3', [python, 'export', ...keys])).code
  }
  expect(await verdict(noteOf(lineOf(fresh), cosigned('w1')), vkeyOf(), vkeyOf(fresh))).toBe(0)
  expect(await verdict(noteOf(lineOf(), lineOf(fresh)), vkeyOf(), vkeyOf(fresh))).toBe(0)
  expect(await verdict(noteOf(lineOf(), lineOf(fresh, 'else\n')), vkeyOf(), vkeyOf(fresh))).toBe(7)
  expect(await verdict(noteOf(lineOf(stranger)), vkeyOf(), vkeyOf(fresh))).toBe(7)
  expect(await verdict(noteOf(lineOf()), vkeyOf(), vkeyOf(fresh, 'log.example/2'))).toBe(2)
})

test('a policy requires cosignatures: exit code 8 if too few, 7 if one is forged', async () => {
  const full = noteOf(lineOf(), cosigned('w1'), cosigned('w2', two))
  expect((await verify(full, '--policy', 'policy')).code).toBe(0)
  expect((await verify(full, '--policy', 'policy', '--key', vkeyOf())).code).toBe(0)
  expect((await verify(full, '--policy', 'policy', '--key', vkeyOf(stranger))).code).toBe(7)
  const half = noteOf(lineOf(), cosigned('w1'))
  const unmet = await verify(half, '--policy', 'policy')
  expect(unmet).toEqual({ code: 8, err: expect.stringContaining('cosigned by w1') })
  expect((await verify(half, '--policy', 'any')).code).toBe(0)
  expect((await verify(noteOf(lineOf()), '--policy', 'any')).err).toContain('cosigned by no witness')
  // A cosignature by another key with the witness's name is ignored; one with the witness's key id is forged.
  expect((await verify(noteOf(lineOf(), cosigned('w1', stranger)), '--policy', 'any')).code).toBe(8)
  const replayed = cosigned('w1', one, TEXT.replace('\n1\n', '\n2\n'))
  expect((await verify(noteOf(lineOf(), replayed, cosigned('w2', two)), '--policy', 'any')).code).toBe(7)
  expect((await verify(full, '--policy', 'broken')).code).toBe(2)
  expect((await verify(full, '--policy', 'nowhere')).code).toBe(2)
})

test('the command accepts several keys and a policy, and exits with the code of each result', async () => {
  const both = ['--key', vkeyOf(), '--key', 'keys']
  await verify(noteOf(lineOf(), cosigned('w1')), '--key', vkeyOf())
  const results = await Promise.all([
    run(process.execPath, [script, 'verify', 'export', ...both]),
    run(process.execPath, [script, 'verify', 'p.tlog-proof', '--key', vkeyOf(stranger)]),
    run(process.execPath, [script, 'verify', 'export', '--policy', 'policy']),
    run(process.execPath, [script, 'verify', 'export']),
  ])
  expect(results.map(({ code }) => code)).toEqual([0, 7, 8, 2])
  expect(results[2].err).toContain('cosigned by w1')
})

test('reports tampering before missing cosignatures', async () => {
  const changed = Buffer.from(leaf.toString().replace('06:41', '06:42'))
  await writeFile(
    join(home, 'export'),
    `${formatHeader(noteOf(lineOf()))}\n${formatEntry(0, hashLeaf(changed), changed).toString()}\n`,
  )
  expect((await verifyHere('export', { policy: join(home, 'policy') })).code).toBe(7)
})
