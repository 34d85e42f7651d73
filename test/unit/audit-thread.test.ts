// An export so large that its tree is grown by a thread: the verdict is the same, and so is where it points.
import { beforeAll, expect, test } from 'vitest'
import { verifyExport } from '../../clients/cli/audit/verify-export.ts'
import { appendLeaf, hashLeaf, rootOf, type Range } from '../../services/lib/merkle.ts'
import { findVerifier } from '../../services/lib/note.ts'
import { exportOf, makeLeaf, noteOf, VKEY } from '../support/exports.ts'

const ENTRIES = 21_000
const OLD = 12_345
const key = findVerifier(VKEY)!
const trust = { name: key.name, keys: [key], policy: undefined }

let leaves: Buffer[]
let lines: string[]
beforeAll(() => {
  // The third is larger than what is handed over at a time.
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

test('an untouched one is verified, with the root of its beginning', async () => {
  const range: Range = { size: 0, peaks: [] }
  for (const leaf of leaves.slice(0, OLD)) appendLeaf(range, hashLeaf(leaf))
  const { checkpoint, oldRoot, producers } = await verify(lines)
  expect(checkpoint.size).toBe(BigInt(ENTRIES))
  expect(oldRoot).toEqual(rootOf(range))
  expect(producers).toEqual(new Map([['metadata', ENTRIES]]))
})

test.each([1, 3, 4, 10_000, ENTRIES])('a changed leaf on line %i + 1 is found there', async (line) => {
  await expect(verify(lines.with(line, edited(line)))).rejects.toThrow(
    `line ${line + 1}: entry ${line - 1} does not have its hash: one of the two was changed`,
  )
})

test('of two changes the first is told, whichever is found first', async () => {
  const moved = lines.with(9000, lines[9001]!).with(9001, lines[9000]!)
  await expect(verify(moved.with(8999, edited(8999)))).rejects.toThrow('line 9000: entry 8998 does not have its hash')
  await expect(verify(moved.with(9005, edited(9005)))).rejects.toThrow('line 9001: here must be entry 8999, not 9000')
  await expect(verify(lines.slice(0, -1).with(8999, edited(8999)))).rejects.toThrow('line 9000: entry 8998')
})

test('leaves that were changed with their hashes do not have the root', async () => {
  const other = exportOf(leaves.with(77, makeLeaf(78, { type: 'other.v1' })), { note: noteOf(leaves) })
  await expect(verify(other.toString().split('\n'))).rejects.toThrow('entries were changed together with their hashes')
  await expect(verify([...lines.slice(0, ENTRIES), ''])).rejects.toThrow('the last are missing')
})
