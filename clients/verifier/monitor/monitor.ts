// Follows a log from outside, and remembers in a file what it has verified last: whoever keeps that file need not trust
// the log's own memory.
import { readFile, rename, stat, writeFile } from 'node:fs/promises'
import type { Checkpoint } from '#lib/tlog/note.ts'
import { lookAt } from './check-growth.ts'
import { openCheckpoint, requireQuorum, type Trust } from '../open-checkpoint.ts'
import type { TileSource } from './tile-source.ts'
import { Tampered, Unmet, Unusable } from '../verdict.ts'

export interface MonitorOptions {
  source: TileSource
  trust: Trust
  /** Keeps the last verified checkpoint, as it was signed. */
  stateFile: string
  /** How long the log may go without a new checkpoint; undefined for ever. */
  staleSeconds: number | undefined
}

export interface Sight {
  checkpoint: Checkpoint
  /** How many entries have come since the look before; undefined at the first. */
  grown: bigint | undefined
}

/** Throws Tampered, and then keeps the state as it was and what was shown beside it; Unmet where the log is stale, or
 * lacks cosignatures. */
export async function look({ source, trust, stateFile, staleSeconds }: MonitorOptions): Promise<Sight> {
  const known = await readState(stateFile, trust)
  const note = await source.checkpoint()
  let checkpoint: Checkpoint
  try {
    checkpoint = await lookAt(source, note, trust, known?.checkpoint)
  } catch (error) {
    if (!(error instanceof Tampered)) throw error
    await writeWhole(`${stateFile}.evidence`, note)
    throw new Tampered(`${error.message} (evidence stored in ${stateFile}.evidence)`, { cause: error })
  }
  requireQuorum(note, trust)
  if (known?.checkpoint.size !== checkpoint.size) await writeWhole(stateFile, note)
  else refuseStale(known, staleSeconds)
  return { checkpoint, grown: known && checkpoint.size - known.checkpoint.size }
}

interface State {
  checkpoint: Checkpoint
  /** When this checkpoint was seen first, in milliseconds. */
  since: number
}

async function readState(stateFile: string, trust: Trust): Promise<State | undefined> {
  try {
    const { mtimeMs: since } = await stat(stateFile)
    return { checkpoint: openCheckpoint(await readFile(stateFile, 'utf8'), trust), since }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new Unusable(`state file ${stateFile} is unusable: ${(error as Error).message}`, { cause: error })
  }
}

function refuseStale({ checkpoint, since }: State, staleSeconds: number | undefined): void {
  const seconds = Math.floor((Date.now() - since) / 1000)
  if (staleSeconds === undefined || seconds < staleSeconds) return
  throw new Unmet(`log is stale: no checkpoint newer than that of ${checkpoint.size} entries for ${seconds} s`)
}

async function writeWhole(file: string, text: string): Promise<void> {
  const fresh = `${file}.${process.pid}`
  await writeFile(fresh, text, { mode: 0o600, flush: true })
  await rename(fresh, file)
}
