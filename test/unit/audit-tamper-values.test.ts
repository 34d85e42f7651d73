// Tampering with exports that have private values, and with the tiles and checkpoints that monitors read.
import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { formatOpening, formatRedacted } from '../../clients/verifier/export/export-file.ts'
import { checkGrowth } from '../../clients/verifier/monitor/check-growth.ts'
import type { TileSource } from '../../clients/verifier/monitor/tile-source.ts'
import { verifyExport } from '../../clients/verifier/verify-export.ts'
import { Tampered, Unusable } from '../../clients/verifier/verdict.ts'
import { hashLeaf, rootOf, type Range } from '../../services/lib/tlog/merkle.ts'
import { findVerifier, formatCheckpoint, formatVerifierKey, signNote } from '../../services/lib/tlog/note.ts'
import { growTree, widthIn, type Tile } from '../../services/lib/tlog/tiles.ts'
import { exportOf, makeLeaf, openingOf, ORIGIN, VKEY } from '../support/exports.ts'

const key = findVerifier(VKEY)!
const trust = { name: key.name, keys: [key], policy: undefined }

const ticket = openingOf('details.ticket', '{"id":7,"text":"é \\"why\\""}')
const reason = openingOf('reason', '"a better recall"')
const gone = openingOf('reason', '"told by mistake"')
const LEAVES = [
  makeLeaf(1),
  makeLeaf(2, { commitments: { 'details.ticket': ticket.commitment, reason: reason.commitment } }),
  makeLeaf(3, { commitments: { reason: gone.commitment } }),
  makeLeaf(1, { producer: 'audit', type: 'event.redacted.v1', details: { index: '2', fields: ['reason'] } }),
]
const shown = (index: number, { field, salt, value }: typeof reason) =>
  formatOpening(index, field, salt, value).toString()
const EXPORT = exportOf(LEAVES, {
  after: { 1: [shown(1, ticket), shown(1, reason)], 2: [formatRedacted(2, 'reason', 3).toString()] },
})

async function* once(bytes: Buffer): AsyncIterable<Buffer> {
  yield bytes
}

/** Whether the verifier rejects the change with a verdict. */
async function isRejected(work: Promise<unknown>): Promise<boolean> {
  try {
    await work
    return false
  } catch (error) {
    if (error instanceof Tampered || error instanceof Unusable) return true
    throw error
  }
}

function* changesOf(bytes: Buffer): Iterable<Buffer> {
  const splice = (at: number, remove: number, insert: Buffer) =>
    Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)])
  for (const [at, byte] of bytes.entries()) {
    for (const other of [byte ^ 1, byte ^ 0x20, byte ^ 0x80, 0]) yield splice(at, 1, Buffer.of(other))
    yield splice(at, 1, Buffer.alloc(0))
    yield splice(at, 0, Buffer.of(byte))
    yield splice(at, 0, Buffer.from(' '))
    yield bytes.subarray(0, at)
    if (at > 0) yield splice(at - 1, 2, Buffer.of(byte, bytes[at - 1]!))
  }
}

function* changedLines(bytes: Buffer): Iterable<Buffer> {
  const lines = bytes.toString().split('\n').slice(0, -1)
  const joined = (all: string[]) => Buffer.from([...all, ''].join('\n'))
  for (let one = 0; one < lines.length; one += 1) {
    yield joined(lines.toSpliced(one, 1))
    yield joined(lines.toSpliced(one, 0, lines[one]!))
    for (let other = one + 1; other < lines.length; other += 1) {
      yield joined(lines.with(one, lines[other]!).with(other, lines[one]!))
    }
  }
  // Replaces an erasure by a value, a value by an erasure, a value by another value, and a salt by another salt.
  const text = bytes.toString()
  yield Buffer.from(text.replace(formatRedacted(2, 'reason', 3).toString(), shown(2, gone)))
  yield Buffer.from(text.replace(shown(1, reason), formatRedacted(1, 'reason', 3).toString()))
  yield Buffer.from(text.replace(shown(1, reason), shown(1, openingOf('reason', '"another"'))))
  yield Buffer.from(text.replace(shown(1, reason), shown(1, { ...reason, salt: ticket.salt })))
}

async function expectAllDetected(
  what: string,
  all: Iterable<Buffer>,
  original: Buffer,
  verify: (bytes: Buffer) => Promise<unknown>,
) {
  let [count, detected] = [0, 0]
  for (const bytes of all) {
    if (bytes.equals(original)) continue
    count += 1
    if (await isRejected(verify(bytes))) detected += 1
  }
  console.log(`${what}: ${count} mutations, ${detected} detected`)
  expect(detected).toBe(count)
  expect(count).toBeGreaterThan(100)
}

test('detects every change of an export with private values', async () => {
  const verify = (bytes: Buffer) => verifyExport(once(bytes), trust)
  expect((await verify(EXPORT)).values).toEqual({ shown: 2, erased: 1 })
  await expectAllDetected('private values', [...changesOf(EXPORT), ...changedLines(EXPORT)], EXPORT, verify)
})

const SIZE = 300
const { privateKey } = generateKeyPairSync('ed25519')
const logKey = findVerifier(formatVerifierKey(ORIGIN, privateKey))!
const logTrust = { name: ORIGIN, keys: [logKey], policy: undefined }
const range: Range = { size: 0, peaks: [] }
const leaves = Array.from({ length: SIZE }, (_, at) => hashLeaf(`leaf ${at}`))
const TILES = growTree(range, leaves)
const NOTE = signNote(formatCheckpoint({ origin: ORIGIN, size: BigInt(SIZE), root: rootOf(range) }), ORIGIN, privateKey)

function sourceOf(tiles: Tile[]): TileSource {
  return {
    checkpoint: async () => NOTE,
    async tile(name, size) {
      const { hashes } = tiles.find(({ level, index }) => level === name.level && index === name.index)!
      if (hashes.length < widthIn(size, name) * 32) throw new Tampered('it does not serve the tile')
      return { ...name, hashes: hashes.subarray(0, widthIn(size, name) * 32) }
    },
  }
}

test('detects every change of a checkpoint', async () => {
  const verify = (bytes: Buffer) => checkGrowth(sourceOf(TILES), bytes.toString(), logTrust, undefined)
  await verify(Buffer.from(NOTE))
  await expectAllDetected('checkpoint', changesOf(Buffer.from(NOTE)), Buffer.from(NOTE), verify)
})

test('detects every change of a tile that the root depends on', async () => {
  for (const [at, tile] of TILES.entries()) {
    // Full tiles of the lowest level are covered by the hash above them, and not read.
    if (tile.level === 0 && tile.hashes.length === 8192) continue
    const verify = (hashes: Buffer) =>
      checkGrowth(sourceOf(TILES.with(at, { ...tile, hashes })), NOTE, logTrust, undefined)
    // The monitor does not read bytes after the hashes of a tile.
    const changes = [...changesOf(tile.hashes)].filter(
      (bytes) => !bytes.subarray(0, tile.hashes.length).equals(tile.hashes),
    )
    await expectAllDetected(`tile ${tile.level}/${tile.index}`, changes, tile.hashes, verify)
  }
})
