import { findCheckpoint, openNote, type Checkpoint, type Verifier } from '#lib/note.ts'
import { Tampered } from './verdict.ts'

/** What the key of `verifier` has signed: a checkpoint of its own log, or Tampered is thrown. */
export function openCheckpoint(note: string, verifier: Verifier): Checkpoint {
  const text = openNote(note, verifier)
  if (text === undefined) throw new Tampered(`the checkpoint is not signed by the key of ${verifier.name}`)
  const checkpoint = findCheckpoint(text)
  if (checkpoint?.origin !== verifier.name) throw new Tampered(`what is signed is no checkpoint of ${verifier.name}`)
  return checkpoint
}
