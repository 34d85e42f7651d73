// The state file: the last signed checkpoint, stored outside the database so that a restored backup is detected.
import { readFileSync } from 'node:fs'
import { findCheckpoint, splitNote } from '#lib/tlog/note.ts'
import { ForkError } from '../domain/checkpoint.ts'
import type { Signer } from '../signer.ts'
import type { StoredCheckpoint } from '../store/tree/checkpoints.ts'

/** Returns undefined where nothing was signed yet. Throws ForkError where the file cannot be read or holds no checkpoint
 * of this log, because nothing may be signed then. */
export function readStateFile({ stateFile, origin }: Signer): StoredCheckpoint | undefined {
  if (!stateFile) return undefined
  let note: string
  try {
    note = readFileSync(stateFile, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new ForkError(`state file ${stateFile} cannot be read: ${String(error)}`)
  }
  const checkpoint = findCheckpoint(splitNote(note)?.text ?? '')
  if (!checkpoint) throw new ForkError(`state file ${stateFile} does not contain a checkpoint`)
  if (checkpoint.origin !== origin) {
    throw new ForkError(
      `state file ${stateFile} belongs to log ${checkpoint.origin}, not to ${origin}; give each log its own file`,
    )
  }
  return { size: Number(checkpoint.size), root: checkpoint.root, note }
}
