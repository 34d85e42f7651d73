// Checks the proof of one event with nothing but a public key.
import { hashLeaf } from '#lib/merkle.ts'
import { verifyInclusion } from '#lib/merkle-proof.ts'
import { findCheckpoint, openNote, type Checkpoint, type Verifier } from '#lib/note.ts'
import { findProof } from '#lib/tlog-proof.ts'
import { Tampered, Unusable } from './verdict.ts'

/** `leaf`: the entry's stored bytes. Throws Tampered or Unusable. */
export function verifyProof(
  text: string,
  leaf: Uint8Array,
  verifier: Verifier,
): { index: bigint; checkpoint: Checkpoint } {
  const file = findProof(text)
  if (!file) throw new Unusable('it is not a proof file')
  const signed = openNote(file.checkpoint, verifier)
  if (signed === undefined) throw new Tampered(`the checkpoint is not signed by the key of ${verifier.name}`)
  const checkpoint = findCheckpoint(signed)
  if (checkpoint?.origin !== verifier.name) throw new Tampered(`what is signed is no checkpoint of ${verifier.name}`)
  const { size, root } = checkpoint
  if (!verifyInclusion({ index: file.index, size, root, leafHash: hashLeaf(leaf), proof: file.hashes })) {
    throw new Tampered(`the event is not entry ${file.index} of the log of ${size} entries that was signed`)
  }
  return { index: file.index, checkpoint }
}
