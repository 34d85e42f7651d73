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
    throw new ForkRefused(`state file ${stateFile} cannot be read: ${String(error)}`)
  }
  const checkpoint = findCheckpoint(splitNote(note)?.text ?? '')
  if (!checkpoint) throw new ForkRefused(`state file ${stateFile} does not contain a checkpoint`)
  if (checkpoint.origin !== origin) {
    throw new ForkRefused(
      `state file ${stateFile} belongs to log ${checkpoint.origin}, not to ${origin}; give each log its own file`,
    )
  }
  return { size: Number(checkpoint.size), root: checkpoint.root, note }
}
