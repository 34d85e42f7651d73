// The body of an add-checkpoint request, as c2sp.org/tlog-witness has it.
import { HASH_BYTES } from '#lib/tlog/merkle.ts'
import { decodeBase64, findCheckpoint, splitNote, type Checkpoint } from '#lib/tlog/note.ts'

export interface AddCheckpoint {
  oldSize: bigint
  /** That the checkpoint continues the tree of `oldSize`. */
  proof: Buffer[]
  /** As it came, with its signatures. */
  note: string
  checkpoint: Checkpoint
}

const MAX_PROOF = 63

/** Undefined where it is not of this form. Nothing is verified. */
export function findAddCheckpoint(body: string): AddCheckpoint | undefined {
  const end = body.indexOf('\n\n')
  if (end === -1) return undefined
  const [first = '', ...lines] = body.slice(0, end).split('\n')
  const oldSize = /^old (0|[1-9][0-9]{0,18})$/.exec(first)?.[1]
  const proof = lines.map(decodeBase64)
  const note = body.slice(end + 2)
  const checkpoint = findCheckpoint(splitNote(note)?.text ?? '')
  if (oldSize === undefined || !checkpoint || proof.length > MAX_PROOF) return undefined
  if (!proof.every((hash) => hash?.length === HASH_BYTES)) return undefined
  return { oldSize: BigInt(oldSize), proof: proof as Buffer[], note, checkpoint }
}
