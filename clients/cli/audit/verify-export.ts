// Checks an export with nothing but a public key: no server, and no package beyond Node.
import { appendLeaf, hashLeaf, rootOf, type Range } from '#lib/merkle.ts'
import { findCheckpoint, openNote, type Checkpoint, type Verifier } from '#lib/note.ts'
import { findEntryLine, findHeader } from './export-file.ts'
import { Tampered, Unusable } from './verdict.ts'

export interface Verified {
  checkpoint: Checkpoint
  /** The last sequence of each producer. */
  producers: Map<string, bigint>
}

const NEWLINE = 10
/** Longer than any entry. */
const MAX_LINE_BYTES = 1_000_000

/** Re-derives the root from the leaves, and compares it with the signed one. Throws Tampered or Unusable. */
export async function verifyExport(chunks: AsyncIterable<Buffer>, verifier: Verifier): Promise<Verified> {
  const range: Range = { size: 0, peaks: [] }
  const producers = new Map<string, bigint>()
  let checkpoint: Checkpoint | undefined
  for await (const line of splitLines(chunks)) {
    if (!checkpoint) checkpoint = readCheckpoint(line, verifier)
    else addEntry(line, range, checkpoint, producers)
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
  return { checkpoint, producers }
}

function readCheckpoint(line: Buffer, verifier: Verifier): Checkpoint {
  const note = findHeader(line.toString())
  if (note === undefined) throw new Unusable('its first line is not that of an export')
  const text = openNote(note, verifier)
  if (text === undefined) throw new Tampered(`line 1: the checkpoint is not signed by the key of ${verifier.name}`)
  const checkpoint = findCheckpoint(text)
  if (checkpoint?.origin !== verifier.name)
    throw new Tampered(`line 1: what is signed is no checkpoint of ${verifier.name}`)
  return checkpoint
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

async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of chunks) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let begin = 0
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, begin)) {
      yield bytes.subarray(begin, end)
      begin = end + 1
    }
    rest = bytes.subarray(begin)
    if (rest.length > MAX_LINE_BYTES) throw new Unusable('it has lines that are too long for an export')
  }
  if (rest.length > 0) throw new Tampered('it ends in the middle of a line')
}
