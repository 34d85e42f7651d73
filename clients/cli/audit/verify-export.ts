// Checks an export with nothing but a public key: no server, and no package beyond Node.
import { appendLeaf, EMPTY_ROOT, hashLeaf, rootOf, type Range } from '#lib/merkle.ts'
import type { Checkpoint } from '#lib/note.ts'
import { findEntryLine, findHeader } from './export-file.ts'
import { splitLines } from './lines.ts'
import { openCheckpoint, requireQuorum, type Trust } from './open-checkpoint.ts'
import { Tampered, Unusable } from './verdict.ts'

export interface Verified {
  checkpoint: Checkpoint
  /** The last sequence of each producer. */
  producers: Map<string, bigint>
  /** The root of the first `oldSize` entries; undefined where there are not as many. */
  oldRoot: Buffer | undefined
}

/** Re-derives the root from the leaves, and compares it with the signed one. Throws Tampered, Unusable or Unmet. */
export async function verifyExport(chunks: AsyncIterable<Buffer>, trust: Trust, oldSize?: bigint): Promise<Verified> {
  const range: Range = { size: 0, peaks: [] }
  const producers = new Map<string, bigint>()
  let note: string | undefined
  let checkpoint: Checkpoint | undefined
  let oldRoot = oldSize === 0n ? EMPTY_ROOT : undefined
  for await (const lines of splitLines(chunks)) {
    for (const line of lines) {
      if (!checkpoint) {
        note = readNote(line)
        checkpoint = readCheckpoint(note, trust)
      } else addEntry(line, range, checkpoint, producers)
      if (oldSize !== undefined && oldRoot === undefined && BigInt(range.size) === oldSize) oldRoot = rootOf(range)
    }
  }
  if (!checkpoint) throw new Unusable('it is empty')
  if (BigInt(range.size) < checkpoint.size) {
    throw new Tampered(
      `it ends after entry ${range.size - 1}, but the checkpoint is of ${checkpoint.size} entries: the last are missing`,
    )
  }
  if (!rootOf(range).equals(checkpoint.root)) {
    throw new Tampered(
      `the root of its ${range.size} entries is ${rootOf(range).toString('base64')}, but ` +
        `${checkpoint.root.toString('base64')} was signed: entries were changed together with their hashes`,
    )
  }
  requireQuorum(note!, trust)
  return { checkpoint, producers, oldRoot }
}

function readNote(line: Buffer): string {
  const note = findHeader(line.toString())
  if (note === undefined) throw new Unusable('its first line is not that of an export')
  return note
}

function readCheckpoint(note: string, trust: Trust): Checkpoint {
  try {
    return openCheckpoint(note, trust)
  } catch (error) {
    throw new Tampered(`line 1: ${(error as Error).message}`, { cause: error })
  }
}

function addEntry(line: Buffer, range: Range, checkpoint: Checkpoint, producers: Map<string, bigint>): void {
  const where = `line ${range.size + 2}`
  const entry = findEntryLine(line)
  if (!entry) throw new Tampered(`${where}: it is not an entry as the export writes them`)
  if (entry.index !== String(range.size)) {
    throw new Tampered(`${where}: here must be entry ${range.size}, not ${entry.index}: entries are missing or moved`)
  }
  if (BigInt(range.size) >= checkpoint.size) {
    throw new Tampered(
      `${where}: entry ${entry.index} is beyond the checkpoint, which is of ${checkpoint.size} entries`,
    )
  }
  const hash = hashLeaf(entry.leaf)
  if (hash.toString('base64') !== entry.hash) {
    throw new Tampered(`${where}: entry ${entry.index} does not have its hash: one of the two was changed`)
  }
  countSequence(entry.leaf, `${where}: entry ${entry.index}`, producers)
  appendLeaf(range, hash)
}

function countSequence(leaf: Buffer, where: string, producers: Map<string, bigint>): void {
  const { producer, sequence } = readEvent(leaf)
  if (typeof producer !== 'string' || typeof sequence !== 'string') throw new Tampered(`${where} is not an event`)
  const expected = (producers.get(producer) ?? 0n) + 1n
  if (sequence !== String(expected)) {
    throw new Tampered(`${where} is event ${sequence} of ${producer}, after event ${expected - 1n}: events are missing`)
  }
  producers.set(producer, expected)
}

function readEvent(leaf: Buffer): { producer?: unknown; sequence?: unknown } {
  try {
    return (JSON.parse(leaf.toString()) as { event?: object } | null)?.event ?? {}
  } catch {
    return {}
  }
}
