// Builds exports of a log, signed with a key of the test.
import { generateKeyPairSync, hash, randomBytes, type KeyObject } from 'node:crypto'
import { appendLeaf, hashLeaf, rootOf, type Range } from '#lib/tlog/merkle.ts'
import { formatCheckpoint, formatVerifierKey, signNote } from '#lib/tlog/note.ts'
import { formatEntry, formatHeader } from '../../clients/verifier/export/export-file.ts'

export const ORIGIN = 'log.example/test'
const { privateKey } = generateKeyPairSync('ed25519')
export const VKEY = formatVerifierKey(ORIGIN, privateKey)

export function makeLeaf(sequence: number, init: object = {}, recordTime = '2026-11-18T11:06:41.000001Z'): Buffer {
  const event = { producer: 'metadata', sequence: String(sequence), type: 'version.noted.v1', ...init }
  return Buffer.from(JSON.stringify({ event, recordTime }))
}

/** An erasable value, with `value` as canonical JSON. */
export function openingOf(field: string, value: string) {
  const salt = randomBytes(32)
  return { field, salt, value, commitment: hash('sha256', Buffer.concat([salt, Buffer.from(value)]), 'base64') }
}

interface Signing {
  key?: KeyObject
  origin?: string
  /** The name of the key, if it differs from the origin. */
  name?: string
}

/** Hashes by leaf: tests export the same leaves thousands of times. */
const hashes = new WeakMap<Buffer, Buffer>()

function hashOf(leaf: Buffer): Buffer {
  const known = hashes.get(leaf) ?? hashLeaf(leaf)
  hashes.set(leaf, known)
  return known
}

export function noteOf(leaves: Buffer[], { key = privateKey, origin = ORIGIN, name = origin }: Signing = {}): string {
  const range: Range = { size: 0, peaks: [] }
  for (const leaf of leaves) appendLeaf(range, hashOf(leaf))
  return signNote(formatCheckpoint({ origin, size: BigInt(range.size), root: rootOf(range) }), name, key)
}

interface Content extends Signing {
  note?: string
  /** The lines that follow an entry, by its index. */
  after?: Record<number, string[]>
}

export function exportOf(leaves: Buffer[], { note, after = {}, ...signing }: Content = {}): Buffer {
  const entries = leaves.flatMap((leaf, at) => [formatEntry(at, hashOf(leaf), leaf).toString(), ...(after[at] ?? [])])
  return Buffer.from([formatHeader(note ?? noteOf(leaves, signing)), ...entries, ''].join('\n'))
}
