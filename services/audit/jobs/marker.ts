// The last signed checkpoint, in a file outside the database.
import { readFileSync } from 'node:fs'
import { findCheckpoint, splitNote } from '#lib/tlog/note.ts'
import { ForkRefused } from '../domain/checkpoint.ts'
import type { Signer } from '../signer.ts'
import type { StoredCheckpoint } from '../store/checkpoint.ts'

/** Undefined where nothing was signed yet. Throws where the file cannot be what it should: nothing is signed then. */
export function readMarker({ stateFile, origin }: Signer): StoredCheckpoint | undefined {
  if (!stateFile) return undefined
  let note: string
  try {
    note = readFileSync(stateFile, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new ForkRefused(`${stateFile}, which keeps the last signed checkpoint, cannot be read: ${String(error)}`)
  }
  const checkpoint = findCheckpoint(splitNote(note)?.text ?? '')
  if (!checkpoint) throw new ForkRefused(`${stateFile} should hold the last signed checkpoint and holds something else`)
  if (checkpoint.origin !== origin) {
    throw new ForkRefused(
      `${stateFile} holds a checkpoint of ${checkpoint.origin} and this log is ${origin}: give each its own file`,
    )
  }
  return { size: Number(checkpoint.size), root: checkpoint.root, note }
}
