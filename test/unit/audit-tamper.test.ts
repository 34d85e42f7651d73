// Tampering with an export: both verifiers detect every change.
import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { formatEntry, formatHeader } from '../../clients/verifier/export/export-file.ts'
import { Tampered, Unusable } from '../../clients/verifier/verdict.ts'
import { verifyExport } from '../../clients/verifier/verify-export.ts'
import { verifyProof } from '../../clients/verifier/verify-proof.ts'
import { appendLeaf, foldPeaks, hashLeaf, inclusionParts, rootOf, type Range } from '../../services/lib/tlog/merkle.ts'
import { findVerifier, formatCheckpoint, formatVerifierKey, signNote } from '../../services/lib/tlog/note.ts'
import { formatProof } from '../../services/lib/tlog/proof-file.ts'

const ORIGIN = 'log.example/test'
const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const stranger = generateKeyPairSync('ed25519').privateKey
const VKEY = formatVerifierKey(ORIGIN, publicKey)
const verifier = { name: ORIGIN, keys: [findVerifier(VKEY)!], policy: undefined }

const home = await mkdtemp(join(tmpdir(), 'modelkeep-tamper-'))
afterAll(() => rm(home, { recursive: true, force: true }))

function leafOf(producer: string, sequence: number, reason = 'é "why" \u2028'): Buffer {
  const event = { actor: { principal: 'alice' }, producer, reason, sequence: String(sequence), type: 'alias.moved.v1' }
  return Buffer.from(JSON.stringify({ event, recordTime: '2026-11-18T11:06:41.000001Z' }))
}

const LEAVES = [
  leafOf('metadata', 1),
  leafOf('artifact', 1),
  leafOf('metadata', 2),
  leafOf('metadata', 3),
  leafOf('artifact', 2),
]

function grow(leaves: Buffer[]) {
  const range: Range = { size: 0, peaks: [] }
  const nodes = new Map<string, Buffer>()
  for (const leaf of leaves)
    appendLeaf(range, hashLeaf(leaf), ({ level, index }, hash) => nodes.set(`${level}/${index}`, hash))
  return { root: rootOf(range), nodes }
}

function noteOf(leaves: Buffer[], { size = leaves.length, origin = ORIGIN, key = privateKey } = {}): string {
  return signNote(formatCheckpoint({ origin, size: BigInt(size), root: grow(leaves).root }), origin, key)
}

function linesOf(note: string, leaves: Buffer[]): Buffer[] {
  return [Buffer.from(formatHeader(note)), ...leaves.map((leaf, index) => formatEntry(index, hashLeaf(leaf), leaf))]
}

const joined = (lines: Buffer[]) => Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')]))

const LINES = linesOf(noteOf(LEAVES), LEAVES)
const EXPORT = joined(LINES)

/** Returns the exit code of the command: 0, 7 or 2. */
async function verdict(bytes: Buffer, chunk = bytes.length || 1): Promise<number> {
  const chunks = Array.from({ length: Math.ceil(bytes.length / chunk) }, (_, at) =>
    bytes.subarray(at * chunk, (at + 1) * chunk),
  )
  try {
    await verifyExport(asAsync(chunks), verifier)
    return 0
  } catch (error) {
    if (error instanceof Tampered) return 7
    if (error instanceof Unusable) return 2
    throw error
  }
}

async function* asAsync(chunks: Buffer[]): AsyncIterable<Buffer> {
  yield* chunks
}

/** Returns the class of a byte, so that the test can require changes of every class. */
function classOf(at: number): string {
  const text = EXPORT.toString('latin1')
  if (text[at] === '\n') return 'newline'
  const begin = text.lastIndexOf('\n', at) + 1
  if (begin === 0) return at > text.indexOf('\\u2014') && at > text.indexOf('\\n\\n') ? 'signature' : 'checkpoint'
  const within = at - begin
  const leaf = text.indexOf('"leaf":', begin) - begin + 7
  if (within >= leaf) return 'leaf'
  const hash = text.indexOf('"hash":', begin) - begin
  return within >= hash ? 'hash' : 'index'
}

function splice(at: number, remove: number, insert: string | Buffer = ''): Buffer {
  return Buffer.concat([EXPORT.subarray(0, at), Buffer.from(insert), EXPORT.subarray(at + remove)])
}

/** Yields every changed export with the name of its change. */
function* mutations(): Iterable<[string, Buffer]> {
  for (let at = 0; at < EXPORT.length; at += 1) {
    const name = classOf(at)
    const byte = EXPORT[at]!
    for (const other of [byte ^ 1, byte ^ 0x20, byte ^ 0x80, 0]) yield [`edit ${name}`, splice(at, 1, Buffer.of(other))]
    yield [`drop ${name}`, splice(at, 1)]
    yield [`repeat ${name}`, splice(at, 0, Buffer.of(byte, byte).subarray(0, 1))]
    yield [`insert space in ${name}`, splice(at, 0, ' ')]
    yield [`insert newline in ${name}`, splice(at, 0, '\n')]
    yield [`truncate in ${name}`, EXPORT.subarray(0, at)]
    if (at > 0 && EXPORT[at - 1] !== byte) yield [`swap ${name}`, splice(at - 1, 2, Buffer.of(byte, EXPORT[at - 1]!))]
  }
  for (let one = 0; one < LINES.length; one += 1) {
    yield ['drop line', joined(LINES.toSpliced(one, 1))]
    yield ['repeat line', joined(LINES.toSpliced(one, 0, LINES[one]!))]
    for (let other = one + 1; other < LINES.length; other += 1) {
      yield ['swap lines', joined(LINES.with(one, LINES[other]!).with(other, LINES[one]!))]
    }
  }
  yield* forgeries()
}

/** Yields forgeries by an attacker who knows the format but has no key. */
function* forgeries(): Iterable<[string, Buffer]> {
  const note = noteOf(LEAVES)
  for (let at = 0; at < LEAVES.length; at += 1) {
    const edited = LEAVES.with(at, Buffer.from(LEAVES[at]!.toString().replace('alice', 'malice')))
    yield ['forge leaf and hash', joined(linesOf(note, edited))]
    yield ['forge leaf, hash and root', joined(linesOf(noteOf(edited, { key: stranger }), edited))]
    const shorter = LEAVES.toSpliced(at, 1)
    yield ['drop entry, count anew', joined(linesOf(note, shorter))]
    yield ['drop entry, sign as a stranger', joined(linesOf(noteOf(shorter, { key: stranger }), shorter))]
    yield ['drop entry, sequences left with a gap, signed by the log itself', gapped(at)]
    for (let other = at + 1; other < LEAVES.length; other += 1) {
      const swapped = LEAVES.with(at, LEAVES[other]!).with(other, LEAVES[at]!)
      yield ['swap entries, count anew', joined(linesOf(note, swapped))]
    }
  }
  const earlier = noteOf(LEAVES.slice(0, 3))
  yield ['replay an earlier checkpoint', joined(linesOf(earlier, LEAVES))]
  yield ['replay a later checkpoint', joined(linesOf(note, LEAVES.slice(0, 3)))]
  yield ['add an entry', joined(linesOf(note, [...LEAVES, leafOf('metadata', 4)]))]
  yield ['repeat an entry', joined(linesOf(note, [...LEAVES, LEAVES[4]!]))]
  yield ["another log's checkpoint", joined(linesOf(noteOf(LEAVES, { origin: 'log.example/other' }), LEAVES))]
  yield ['a size that is not that of the root', joined(linesOf(noteOf(LEAVES, { size: 4 }), LEAVES.slice(0, 4)))]
  yield ['no signature', joined(linesOf(`${note.split('\n\n')[0]}\n\n`, LEAVES))]
  yield ['no event in a leaf', joined(linesOf(noteOf([Buffer.from('7')]), [Buffer.from('7')]))]
  yield ['nothing', Buffer.alloc(0)]
}

/** Removes an entry that is not the last of its producer, so that its sequence has a gap. */
function gapped(at: number): Buffer {
  const left = LEAVES.toSpliced(at === 3 || at === 4 ? 0 : at, 1)
  return joined(linesOf(noteOf(left), left))
}

const all = [...mutations()].filter(([, bytes]) => !bytes.equals(EXPORT))

test('verifies an unchanged export in chunks of any size', async () => {
  for (const chunk of [1, 7, 64, EXPORT.length]) expect(await verdict(EXPORT, chunk)).toBe(0)
  const empty = joined(linesOf(noteOf([]), []))
  expect(await verdict(empty)).toBe(0)
})

test('detects every change', async () => {
  const counts = new Map<string, number>()
  const missed: string[] = []
  for (const [name, bytes] of all) {
    counts.set(name, (counts.get(name) ?? 0) + 1)
    if ((await verdict(bytes)) === 0) missed.push(name)
  }
  console.log(`${all.length} mutations, ${all.length - missed.length} detected`)
  expect(missed).toEqual([])
  for (const name of ['checkpoint', 'signature', 'index', 'hash', 'leaf', 'newline']) {
    expect(counts.get(`edit ${name}`)).toBeGreaterThan(4)
  }
})

test('the verifier in Python reaches the same verdicts', async ({ skip }) => {
  const python = await promisify(execFile)('python3', ['--version']).catch(() => undefined)
  if (!python) skip('python3 is not installed')
  const script = `
import sys
sys.path.insert(0, 'clients/python')
import verify
for number in range(int(sys.argv[2])):
    print(verify.main([f'{sys.argv[1]}/{number}', sys.argv[3]]))`
  const byName = Map.groupBy(all, ([name]) => name)
  const sample: Buffer[] = [EXPORT, joined(linesOf(noteOf([]), []))]
  for (const group of byName.values()) {
    const step = Math.ceil(group.length / 12)
    sample.push(...group.filter((_, at) => at % step === 0).map(([, bytes]) => bytes))
  }
  await Promise.all(sample.map((bytes, number) => writeFile(join(home, String(number)), bytes)))
  const args = ['-B', '-c', script, home, String(sample.length), VKEY]
  const { stdout } = await promisify(execFile)('python3', args, { maxBuffer: 1 << 24 })
  const verdicts = stdout.split('\n').filter((line) => /^[0-9]+$/.test(line))
  expect(verdicts.length).toBe(sample.length)
  // The verifiers may differ in whether a broken first line is tampering or not an export.
  const own = await Promise.all(sample.map(async (bytes) => (await verdict(bytes)) === 0))
  expect(verdicts.map((code) => code === '0')).toEqual(own)
})

test('names the problem and its line', async () => {
  const messageOf = (bytes: Buffer) =>
    verifyExport(asAsync([bytes]), verifier).then(
      () => 'verified',
      (error: Error) => error.message,
    )
  const text = EXPORT.toString()
  expect(await messageOf(Buffer.from(text.replace(/alice(?!.*alice)/s, 'malic')))).toBe(
    'line 6: entry 4 does not match its hash: one of the two was changed',
  )
  expect(await messageOf(joined(LINES.toSpliced(2, 1)))).toBe(
    'line 3: expected entry 1, found entry 2: entries are missing or moved',
  )
  expect(await messageOf(joined(LINES.slice(0, -1)))).toBe(
    'the export ends after entry 3, but the checkpoint covers 5 entries: the last entries are missing',
  )
  expect(await messageOf(gapped(0))).toBe(
    'line 3: entry 1 is event 2 of metadata, but follows event 0: events are missing',
  )
  expect(await messageOf(joined(linesOf(noteOf(LEAVES, { key: stranger }), LEAVES)))).toBe(
    `line 1: checkpoint is not signed by a key of ${ORIGIN}`,
  )
})

test('verifies the proof of an event, and rejects any changed byte of proof or event', () => {
  const { nodes } = grow(LEAVES)
  const hashes = inclusionParts(2, LEAVES.length).map((part) =>
    foldPeaks(part.map(({ level, index }) => nodes.get(`${level}/${index}`)!)),
  )
  const proof = Buffer.from(formatProof({ index: 2n, hashes, checkpoint: noteOf(LEAVES) }))
  expect(verifyProof(proof.toString(), LEAVES[2]!, verifier)).toMatchObject({ index: 2n, checkpoint: { size: 5n } })
  const flip = (bytes: Buffer, at: number, bit: number) => {
    const changed = Buffer.from(bytes)
    changed[at]! ^= bit
    return changed
  }
  for (let at = 0; at < proof.length; at += 1) {
    for (const bit of [1, 0x20]) {
      expect(() => verifyProof(flip(proof, at, bit).toString(), LEAVES[2]!, verifier)).toThrow(/./)
    }
  }
  for (let at = 0; at < LEAVES[2]!.length; at += 1) {
    expect(() => verifyProof(proof.toString(), flip(LEAVES[2]!, at, 1), verifier)).toThrow(Tampered)
  }
})
