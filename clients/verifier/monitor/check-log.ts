// One check of a log from outside. A state file holds the last verified checkpoint, so that the check does not rely on
// what the log itself remembers.
import { readFile, rename, stat, writeFile } from 'node:fs/promises'
import type { Checkpoint } from '#lib/tlog/note.ts'
import { checkGrowth } from './check-growth.ts'
import { openCheckpoint, requireQuorum, type Trust } from '../open-checkpoint.ts'
import type { TileSource } from './tile-source.ts'
import { Tampered, Unmet, Unusable } from '../verdict.ts'

export interface CheckOptions {
  source: TileSource
  trust: Trust
  /** The file for the last verified checkpoint, as it was signed. */
  stateFile: string
  /** How long the log may go without a new checkpoint; undefined for no limit. */
  staleSeconds: number | undefined
}

export interface LogState {
  checkpoint: Checkpoint
  /** The number of new entries since the last check; undefined at the first. */
  grown: bigint | undefined
}

/** Throws Unmet if the log is stale or lacks cosignatures. Throws Tampered if it was forked or rolled back: the state file
 * then stays as it was, and the log's checkpoint is stored beside it as evidence. */
export async function checkLog({ source, trust, stateFile, staleSeconds }: CheckOptions): Promise<LogState> {
  const known = await readState(stateFile, trust)
  const note = await source.checkpoint()
  let checkpoint: Checkpoint
  try {
    checkpoint = await checkGrowth(source, note, trust, known?.checkpoint)
  } catch (error) {
    if (!(error instanceof Tampered)) throw error
    await replaceFile(`${stateFile}.evidence`, note)
    throw new Tampered(`${error.message} (evidence stored in ${stateFile}.evidence)`, { cause: error })
  }
  requireQuorum(note, trust)
  if (known?.checkpoint.size !== checkpoint.size) await replaceFile(stateFile, note)
  else requireFresh(known, staleSeconds)
  return { checkpoint, grown: known && checkpoint.size - known.checkpoint.size }
}

interface KnownState {
  checkpoint: Checkpoint
  /** When this checkpoint was first seen, in milliseconds. */
  since: number
}

async function readState(stateFile: string, trust: Trust): Promise<KnownState | undefined> {
  try {
    const { mtimeMs: since } = await stat(stateFile)
    return { checkpoint: openCheckpoint(await readFile(stateFile, 'utf8'), trust), since }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new Unusable(`state file ${stateFile} is unusable: ${(error as Error).message}`, { cause: error })
  }
}

function requireFresh({ checkpoint, since }: KnownState, staleSeconds: number | undefined): void {
  const seconds = Math.floor((Date.now() - since) / 1000)
  if (staleSeconds === undefined || seconds < staleSeconds) return
  throw new Unmet(`log is stale: no checkpoint newer than that of ${checkpoint.size} entries for ${seconds} s`)
}

async function replaceFile(file: string, text: string): Promise<void> {
  const fresh = `${file}.${process.pid}`
  await writeFile(fresh, text, { mode: 0o600, flush: true })
  await rename(fresh, file)
}
