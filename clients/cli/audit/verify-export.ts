// Checks an export with nothing but a public key: no server, and no package beyond Node.
import { appendLeaf, EMPTY_ROOT, hashLeaf, rootOf, type Range } from '#lib/merkle.ts'
import type { Checkpoint } from '#lib/note.ts'
import { putBack, readEvent, type LeafEvent } from './event.ts'
import { findEntryLine, findHeader, findOpeningLine, isOpeningLine } from './export-file.ts'
import { replayGovernance, type Governance } from './governance.ts'
import { splitLines } from './lines.ts'
import { openCheckpoint, requireQuorum, type Trust } from './open-checkpoint.ts'
import { checkOpenings, type Openings } from './openings.ts'
import { Tampered, Unusable } from './verdict.ts'

export interface Verified {
  checkpoint: Checkpoint
  /** The last sequence of each producer. */
  producers: Map<string, bigint>
  /** The root of the first `oldSize` entries; undefined where there are not as many. */
  oldRoot: Buffer | undefined
  /** Private values that are there, and that were erased. */
  values: { shown: number; erased: number }
  /** How many events were replayed. */
  judged: number
}

/** Re-derives the root from the leaves, and compares it with the signed one. Throws Tampered, Unusable or Unmet. */
export async function verifyExport(chunks: AsyncIterable<Buffer>, trust: Trust, oldSize?: bigint): Promise<Verified> {
  let state: State | undefined
  let oldRoot = oldSize === 0n ? EMPTY_ROOT : undefined
  let count = 0
  for await (const lines of splitLines(chunks)) {
    for (const line of lines) {
      count += 1
      if (!state) state = begin(line, trust)
      else located(`line ${count}`, state, line)
      const { size } = state.range
      if (oldSize !== undefined && oldRoot === undefined && BigInt(size) === oldSize) oldRoot = rootOf(state.range)
    }
  }
  if (!state) throw new Unusable('it is empty')
  const { checkpoint, producers, openings, governance } = state
  requireRoot(state.range, checkpoint)
  openings.finish()
  replay(state)
  governance.finish()
  requireQuorum(state.note, trust)
  return {
    checkpoint,
    producers,
    oldRoot,
    values: { shown: openings.shown, erased: openings.erased },
    judged: governance.judged,
  }
}

interface State {
  note: string
  checkpoint: Checkpoint
  hasOpenings: boolean
  range: Range
  producers: Map<string, bigint>
  openings: Openings
  governance: Governance
  /** The last entry's, which is replayed when its private values are known. */
  event: LeafEvent | undefined
}

function begin(line: Buffer, trust: Trust): State {
  const header = findHeader(line.toString())
  if (header === undefined) throw new Unusable('its first line is not that of an export')
  try {
    const checkpoint = openCheckpoint(header.checkpoint, trust)
    const openings = checkOpenings(checkpoint.size)
    const { hasOpenings, checkpoint: note } = header
    return {
      note,
      checkpoint,
      hasOpenings,
      range: { size: 0, peaks: [] },
      producers: new Map(),
      openings,
      governance: replayGovernance(),
      event: undefined,
    }
  } catch (error) {
    throw new Tampered(`line 1: ${(error as Error).message}`, { cause: error })
  }
}

function located(where: string, state: State, line: Buffer): void {
  try {
    if (isOpeningLine(line)) addOpening(line, state)
    else addEntry(line, state)
  } catch (error) {
    if (error instanceof Tampered) throw new Tampered(`${where}: ${error.message}`, { cause: error })
    throw error
  }
}

function addOpening(line: Buffer, { openings, hasOpenings, event }: State): void {
  const opening = hasOpenings ? findOpeningLine(line) : undefined
  if (!opening) throw new Tampered('it is not a private value as the export writes them')
  openings.open(opening)
  if (event && 'value' in opening.opening) putBack(event, opening.field, opening.opening.value)
}

function addEntry(line: Buffer, state: State): void {
  const { range, checkpoint, producers, openings, hasOpenings } = state
  const entry = findEntryLine(line)
  if (!entry) throw new Tampered('it is not an entry as the export writes them')
  if (entry.index !== String(range.size)) {
    throw new Tampered(`here must be entry ${range.size}, not ${entry.index}: entries are missing or moved`)
  }
  if (BigInt(range.size) >= checkpoint.size) {
    throw new Tampered(`entry ${entry.index} is beyond the checkpoint, which is of ${checkpoint.size} entries`)
  }
  const hash = hashLeaf(entry.leaf)
  if (hash.toString('base64') !== entry.hash) {
    throw new Tampered(`entry ${entry.index} does not have its hash: one of the two was changed`)
  }
  const event = readEvent(entry.leaf)
  if (event.commitments && !hasOpenings) {
    throw new Unusable(`entry ${entry.index} has private values, which an export of the first format leaves out`)
  }
  countSequence(event, `entry ${entry.index}`, producers)
  openings.entry(range.size, event)
  replay(state)
  state.event = event
  appendLeaf(range, hash)
}

/** The event of the entry before. */
function replay({ governance, event, range }: State): void {
  if (event) governance.apply(range.size - 1, event)
}

function requireRoot(range: Range, { size, root }: Checkpoint): void {
  if (BigInt(range.size) < size) {
    throw new Tampered(
      `it ends after entry ${range.size - 1}, but the checkpoint is of ${size} entries: the last are missing`,
    )
  }
  const derived = rootOf(range)
  if (derived.equals(root)) return
  throw new Tampered(
    `the root of its ${range.size} entries is ${derived.toString('base64')}, but ${root.toString('base64')} was ` +
      'signed: entries were changed together with their hashes',
  )
}

function countSequence({ producer, sequence }: LeafEvent, where: string, producers: Map<string, bigint>): void {
  if (typeof producer !== 'string' || typeof sequence !== 'string') throw new Tampered(`${where} is not an event`)
  const expected = (producers.get(producer) ?? 0n) + 1n
  if (sequence !== String(expected)) {
    throw new Tampered(`${where} is event ${sequence} of ${producer}, after event ${expected - 1n}: events are missing`)
  }
  producers.set(producer, expected)
}
