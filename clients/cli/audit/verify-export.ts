// Checks an export with nothing but a public key: no server, and no package beyond Node.
import type { Checkpoint } from '#lib/note.ts'
import { putBack, readEvent, type LeafEvent } from './event.ts'
import { findEntryLine, findHeader, findOpeningLine, isOpeningLine } from './export-file.ts'
import { replayGovernance, type Governance } from './governance.ts'
import { LeafTree, type Grower } from './leaf-tree.ts'
import { splitLines } from './lines.ts'
import { openCheckpoint, requireQuorum, type Trust } from './open-checkpoint.ts'
import { checkOpenings, type Openings } from './openings.ts'
import { TreeThread } from './tree-thread.ts'
import { Tampered, Unusable } from './verdict.ts'

export interface Verified {
  checkpoint: Checkpoint
  /** The last sequence of each producer. */
  producers: Map<string, number>
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
  let count = 0
  try {
    for await (const lines of splitLines(chunks)) {
      for (const line of lines) {
        count += 1
        if (!state) state = begin(line, trust, oldSize)
        else located(count, state, line)
      }
      await state?.tree.keepUp()
    }
    if (!state) throw new Unusable('it is empty')
    return await conclude(state, trust)
  } catch (error) {
    // What is wrong further up is told first.
    await state?.tree.settle()
    throw error
  } finally {
    await state?.tree.close()
  }
}

async function conclude(state: State, trust: Trust): Promise<Verified> {
  const { checkpoint, producers, openings, governance, tree } = state
  requireSize(state.size, checkpoint)
  const { root, oldRoot } = await tree.finish()
  requireRoot(state.size, root, checkpoint)
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
  /** Entries so far. */
  size: number
  tree: Grower
  producers: Map<string, number>
  openings: Openings
  governance: Governance
  /** The last entry's, which is replayed when its private values are known. */
  event: LeafEvent | undefined
}

/** A thread takes a while to begin. */
const THREAD_FROM = 20_000n

function begin(line: Buffer, trust: Trust, oldSize: bigint | undefined): State {
  const header = findHeader(line.toString())
  if (header === undefined) throw new Unusable('its first line is not that of an export')
  try {
    const checkpoint = openCheckpoint(header.checkpoint, trust)
    const governance = replayGovernance()
    const openings = checkOpenings(checkpoint.size, (wrong) => governance.complain(wrong))
    const { hasOpenings, checkpoint: note } = header
    return {
      note,
      checkpoint,
      hasOpenings,
      size: 0,
      tree: new (checkpoint.size < THREAD_FROM ? LeafTree : TreeThread)(
        oldSize === undefined ? oldSize : Number(oldSize),
      ),
      producers: new Map(),
      openings,
      governance,
      event: undefined,
    }
  } catch (error) {
    throw new Tampered(`line 1: ${(error as Error).message}`, { cause: error })
  }
}

function located(count: number, state: State, line: Buffer): void {
  try {
    if (isOpeningLine(line)) addOpening(line, state)
    else addEntry(line, state, count)
  } catch (error) {
    if (error instanceof Tampered) throw new Tampered(`line ${count}: ${error.message}`, { cause: error })
    throw error
  }
}

function addOpening(line: Buffer, { openings, hasOpenings, event }: State): void {
  const opening = hasOpenings ? findOpeningLine(line) : undefined
  if (!opening) throw new Tampered('it is not a private value as the export writes them')
  openings.open(opening)
  if (event && 'value' in opening.opening) putBack(event, opening.field, opening.opening.value)
}

function addEntry(line: Buffer, state: State, count: number): void {
  const { size, checkpoint, producers, openings, hasOpenings } = state
  const entry = findEntryLine(line)
  if (!entry) throw new Tampered('it is not an entry as the export writes them')
  if (entry.index !== String(size)) {
    throw new Tampered(`here must be entry ${size}, not ${entry.index}: entries are missing or moved`)
  }
  if (size >= checkpoint.size) {
    throw new Tampered(`entry ${entry.index} is beyond the checkpoint, which is of ${checkpoint.size} entries`)
  }
  state.tree.add(entry.leaf, entry.hash, count)
  const event = readEvent(entry.leaf)
  if (event.commitments && !hasOpenings) {
    throw new Unusable(`entry ${entry.index} has private values, which an export of the first format leaves out`)
  }
  countSequence(event, size, producers)
  openings.entry(size, event)
  replay(state)
  state.event = event
  state.size += 1
}

/** The event of the entry before. */
function replay({ governance, event, size }: State): void {
  if (event) governance.apply(size - 1, event)
}

function requireSize(count: number, { size }: Checkpoint): void {
  if (count >= size) return
  throw new Tampered(`it ends after entry ${count - 1}, but the checkpoint is of ${size} entries: the last are missing`)
}

function requireRoot(count: number, derived: Buffer, { root }: Checkpoint): void {
  if (derived.equals(root)) return
  throw new Tampered(
    `the root of its ${count} entries is ${derived.toString('base64')}, but ${root.toString('base64')} was ` +
      'signed: entries were changed together with their hashes',
  )
}

function countSequence({ producer, sequence }: LeafEvent, index: number, producers: Map<string, number>): void {
  if (typeof producer !== 'string' || typeof sequence !== 'string') throw new Tampered(`entry ${index} is not an event`)
  const last = producers.get(producer) ?? 0
  if (sequence !== String(last + 1)) {
    throw new Tampered(`entry ${index} is event ${sequence} of ${producer}, after event ${last}: events are missing`)
  }
  producers.set(producer, last + 1)
}
