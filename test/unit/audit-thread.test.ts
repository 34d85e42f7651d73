// Exports that are large enough for threads: the verdict and its line are the same as without threads.
import { beforeAll, expect, test, vi } from 'vitest'
import { checkPart } from '../../clients/verifier/export/export-part.ts'
import { formatOpening, formatRedacted } from '../../clients/verifier/export/export-file.ts'
import { PartThread } from '../../clients/verifier/export/part-threads.ts'
import { Unmet } from '../../clients/verifier/verdict.ts'
import { verifyExport } from '../../clients/verifier/verify-export.ts'
import { appendLeaf, hashLeaf, rootOf, type Range } from '../../services/lib/tlog/merkle.ts'
import { findVerifier } from '../../services/lib/tlog/note.ts'
import { exportOf, makeLeaf, noteOf, openingOf, VKEY } from '../support/exports.ts'

const ENTRIES = 51_000
const OLD = 12_345
const key = findVerifier(VKEY)!
const trust = { name: key.name, keys: [key], policy: undefined }

let leaves: Buffer[]
let lines: string[]
beforeAll(() => {
  // The third leaf is larger than a part.
  leaves = Array.from({ length: ENTRIES }, (_, at) =>
    makeLeaf(at + 1, at === 2 ? { details: { x: 'x'.repeat(400_000) } } : {}),
  )
  lines = exportOf(leaves).toString().split('\n')
})

async function* inPieces(bytes: Buffer): AsyncIterable<Buffer> {
  for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000)
}

const verify = (changed: string[]) => verifyExport(inPieces(Buffer.from(changed.join('\n'))), trust, BigInt(OLD))
const edited = (line: number) => lines[line]!.replace('version.noted', 'version.moved')

test('verifies an unchanged export, and returns the root at an older size', async () => {
  const range: Range = { size: 0, peaks: [] }
  for (const leaf of leaves.slice(0, OLD)) appendLeaf(range, hashLeaf(leaf))
  const { checkpoint, oldRoot, producers } = await verify(lines)
  expect(checkpoint.size).toBe(BigInt(ENTRIES))
  expect(oldRoot).toEqual(rootOf(range))
  expect(producers).toEqual(new Map([['metadata', ENTRIES]]))
})

test.each([1, 4, 10_000, ENTRIES])('reports a changed leaf on line %i + 1', async (line) => {
  await expect(verify(lines.with(line, edited(line)))).rejects.toThrow(
    `line ${line + 1}: entry ${line - 1} does not match its hash: one of the two was changed`,
  )
})

test('reports the first of two changes, whichever thread finds one first', async () => {
  const moved = lines.with(9000, lines[9001]!).with(9001, lines[9000]!)
  await expect(verify(moved.with(8999, edited(8999)))).rejects.toThrow('line 9000: entry 8998 does not match its hash')
  await expect(verify(moved.with(9005, edited(9005)))).rejects.toThrow(
    'line 9001: expected entry 8999, found entry 9000',
  )
  await expect(verify(lines.slice(0, -1).with(8999, edited(8999)))).rejects.toThrow('line 9000: entry 8998')
  const without = [...lines.slice(0, 5001), ...lines.slice(15_001)].with(5010, edited(15_010))
  await expect(verify(without)).rejects.toThrow('line 5002: expected entry 5000, found entry 15000')
})

test('rejects leaves that were changed with their hashes', async () => {
  const other = exportOf(leaves.with(77, makeLeaf(78, { type: 'other.v1' })), { note: noteOf(leaves) })
  await expect(verify(other.toString().split('\n'))).rejects.toThrow('entries were changed together with their hashes')
  await expect(verify([...lines.slice(0, ENTRIES), ''])).rejects.toThrow('the last entries are missing')
})

test('reports removed or exchanged parts where they should begin', async () => {
  const without = [...lines.slice(0, 5001), ...lines.slice(15_001)]
  await expect(verify(without)).rejects.toThrow('line 5002: expected entry 5000, found entry 15000')
  const exchanged = [...lines.slice(0, 5001), ...lines.slice(10_001, 15_001), ...lines.slice(5001, 10_001)]
  await expect(verify([...exchanged, ...lines.slice(15_001)])).rejects.toThrow('line 5002: expected entry 5000')
})

test('reports a gap in a sequence between two parts', async () => {
  const gapped = leaves.map((leaf, at) => (at === 18_000 ? makeLeaf(7, { producer: 'artifact' }) : leaf))
  const text = exportOf([makeLeaf(1, { producer: 'artifact' }), ...gapped]).toString()
  await expect(verify(text.split('\n'))).rejects.toThrow(
    'line 18003: entry 18001 is event 7 of artifact, but follows event 1',
  )
})

const opening = openingOf('reason', '"told by mistake"')
const secret = makeLeaf(11, { commitments: { reason: opening.commitment } })
const redaction = (fields: string[]) =>
  makeLeaf(1, { producer: 'audit', type: 'event.redacted.v1', details: { index: '10', fields } })

test('accepts an erasure that a much later entry records, and rejects others', async () => {
  const withEnd = (end: Buffer, line: Buffer, size = ENTRIES + 1) =>
    exportOf([...leaves.with(10, secret), end].slice(0, size), { after: { 10: [line.toString()] } })
  const erased = formatRedacted(10, 'reason', ENTRIES)
  const shown = formatOpening(10, 'reason', opening.salt, opening.value)
  const of = (bytes: Buffer) => verify(bytes.toString().split('\n'))
  expect((await of(withEnd(redaction(['reason']), erased))).values).toEqual({ shown: 0, erased: 1 })
  const still = `line ${ENTRIES + 3}: entry ${ENTRIES} records the erasure of "reason" of entry 10, but the export still contains it`
  await expect(of(withEnd(redaction(['reason']), shown))).rejects.toThrow(still)
  const untold = `entry ${ENTRIES} does not record the erasure of "reason" of entry 10`
  await expect(of(withEnd(redaction([]), erased))).rejects.toThrow(untold)
  await expect(of(withEnd(redaction(['reason']), erased, ENTRIES))).rejects.toThrow(Unmet)
})

test('reports a broken rule in any part', async () => {
  const move = makeLeaf(20_001, { type: 'alias.moved.v1', outcome: 'OUTCOME_SUCCEEDED' })
  const broken = exportOf(leaves.with(20_000, move)).toString().split('\n')
  await expect(verify(broken)).rejects.toThrow('entry 20000, alias.moved.v1')
})

test('a thread returns the same result for a part as the caller', async () => {
  const actor = { principal: 'é', method: 'token', credentialId: 't' }
  const resource = { id: 'a', namespace: 'fraud', name: 'fraud/scorer@\u0000', digest: 'sha256:1' }
  const common = { type: 'alias.moved.v1', outcome: 'OUTCOME_SUCCEEDED', occurTime: '2026-11-18T11:06:41Z' }
  const moved = [
    makeLeaf(1, {
      ...common,
      actor,
      resource,
      beforeDigest: 'sha256:0',
      afterDigest: 'sha256:1',
      details: { from: 0 },
    }),
    makeLeaf(2, { ...common, occurTime: 'never', actor: null, resource: 7, details: { from: 1, to: [2] } }),
    makeLeaf(1, { producer: 'audit', type: 'event.redacted.v1', details: { index: '1', fields: [] } }),
  ]
  const text = exportOf(moved).toString()
  const bytes = Buffer.from(text.slice(text.indexOf('\n') + 1))
  const terms = { size: 3, hasOpenings: true }
  const thread = new PartThread(terms)
  try {
    await vi.waitFor(() => expect(thread.pending).toBe(0))
    const { hashes, ...part } = await thread.check(bytes)
    const { hashes: ownHashes, ...own } = checkPart(bytes, terms)
    expect(part).toEqual(own)
    expect(own.replayEvents).toHaveLength(2)
    expect(Buffer.from(hashes)).toEqual(Buffer.from(ownHashes))
  } finally {
    await thread.close()
  }
})
