// Verifies the proof of one event against a public key.
import { hashLeaf } from '#lib/tlog/merkle.ts'
import { verifyInclusion } from '#lib/tlog/merkle-proof.ts'
import type { Checkpoint } from '#lib/tlog/note.ts'
import { findProof } from '#lib/tlog/proof-file.ts'
import { openCheckpoint, requireQuorum, type Trust } from './open-checkpoint.ts'
import { readEvent } from './export/event.ts'
import { findOpeningLine } from './export/export-file.ts'
import { linesOf } from './export/lines.ts'
import { checkOpenings } from './export/openings.ts'
import { Tampered, Unusable } from './verdict.ts'

/** `leaf`: the entry's stored bytes. Throws Tampered, Unusable or Unmet. */
export function verifyProof(text: string, leaf: Uint8Array, trust: Trust): { index: bigint; checkpoint: Checkpoint } {
  const file = findProof(text)
  if (!file) throw new Unusable('the file is not a proof')
  const checkpoint = openCheckpoint(file.checkpoint, trust)
  const { size, root } = checkpoint
  if (!verifyInclusion({ index: file.index, size, root, leafHash: hashLeaf(leaf), proof: file.hashes })) {
    throw new Tampered(`the event is not entry ${file.index} of the signed log of ${size} entries`)
  }
  requireQuorum(file.checkpoint, trust)
  return { index: file.index, checkpoint }
}

/** Verifies the private values of one entry, in the lines of an export. Erasures are accepted without the entries that record
 * them. Throws Tampered. */
export function verifyValues(index: number, leaf: Buffer, values: Buffer): void {
  const openings = checkOpenings()
  openings.entry(index, readEvent(leaf))
  for (const line of linesOf(values)) {
    const opening = findOpeningLine(line)
    if (!opening) throw new Tampered('the private values are malformed')
    openings.open(opening)
  }
  openings.finish()
}
