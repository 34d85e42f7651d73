// The body of an add-checkpoint request in the format of c2sp.org/tlog-witness.
import { HASH_BYTES } from '#lib/tlog/merkle.ts'
import { decodeBase64, findCheckpoint, splitNote, type Checkpoint } from '#lib/tlog/note.ts'

export interface AddCheckpoint {
  oldSize: bigint
  /** The proof that the checkpoint extends the tree of `oldSize` entries. */
  proof: Buffer[]
  /** The signed checkpoint as received. */
  note: string
  checkpoint: Checkpoint
}

const MAX_PROOF = 63

/** Returns undefined where the body is malformed. Verifies neither signatures nor the proof. */
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
