// Whether the present log extends the checkpoints that were signed before.
import { verifyConsistency } from '#lib/tlog/merkle-proof.ts'

export interface Tree {
  size: number
  root: Buffer
}

/** Signing the log would fork it. The message says what the operator must do. */
export class ForkError extends Error {
  override name = 'ForkError'
}

const WHAT_TO_DO =
  'Signing has stopped. Restore the database to its newest state, from a newer backup or a replica. ' +
  'If the missing entries are lost for good, this log has ended: store its last checkpoint as evidence and ' +
  'start a new log with another AUDIT_ORIGIN, key and AUDIT_STATE_FILE.'

const WRONG_WITNESS = 'If the witness is wrong, remove it from the policy.'

/** Throws ForkError where the log is smaller than a signed checkpoint. `place` names where that checkpoint is stored. */
export function requireNotShrunk(head: Tree, signed: Tree, place: string): void {
  if (signed.size <= head.size) return
  const message = `${place} has a signed checkpoint of ${signed.size} entries, but the log has only ${head.size}: the \
database is older than the checkpoint, for example after a restore from backup.`
  throw new ForkError(`${message} ${WHAT_TO_DO}`)
}

/** Throws ForkError where `proof`, computed from the present log, does not show that `head` extends `signed`. */
export function requireExtension(head: Tree, signed: Tree, proof: Buffer[], place: string): void {
  const isExtended = verifyConsistency({
    oldSize: BigInt(signed.size),
    newSize: BigInt(head.size),
    oldRoot: signed.root,
    newRoot: head.root,
    proof,
  })
  if (isExtended) return
  const message = `log of ${head.size} entries does not extend the signed checkpoint of ${signed.size} entries in \
${place}: signed entries were changed, moved or removed.`
  throw new ForkError(`${message} ${WHAT_TO_DO}`)
}

/** Throws ForkError where a witness has cosigned more entries than the newest checkpoint in the database covers, because
 * every checkpoint is stored before a witness sees it. */
export function requireWitnessedIsSigned(witnessed: number, newestSigned: number, witness: string): void {
  if (witnessed <= newestSigned) return
  const message = `witness ${witness} has cosigned a checkpoint of ${witnessed} entries, but the newest one stored here \
has ${newestSigned}: the database is older than the checkpoint, for example after a restore from backup, or the witness is wrong.`
  throw new ForkError(`${message} ${WHAT_TO_DO} ${WRONG_WITNESS}`)
}

/** Throws ForkError: the witness rejects the proof that the tree of `size` entries extends what it has cosigned. */
export function failUnproven(witnessed: number, size: number, witness: string): never {
  const message = `witness ${witness} rejects the log of ${size} entries: it does not extend the ${witnessed} entries that \
the witness has cosigned. Entries were changed, moved or removed, or the witness is wrong.`
  throw new ForkError(`${message} ${WHAT_TO_DO} ${WRONG_WITNESS}`)
}
