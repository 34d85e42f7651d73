// Whether the log as it is now continues what was signed before.
import { verifyConsistency } from '#lib/tlog/merkle-proof.ts'

export interface Tree {
  size: number
  root: Buffer
}

/** The log must not be signed: that would be a fork of it. The message says what to do. */
export class ForkRefused extends Error {
  override name = 'ForkRefused'
}

const WHAT_TO_DO =
  'Signing has stopped. Restore the database to its newest state, from a newer backup or a replica. ' +
  'If the missing entries are lost for good, this log has ended: store its last checkpoint as evidence and ' +
  'start a new log with another AUDIT_ORIGIN, key and AUDIT_STATE_FILE.'

const WRONG_WITNESS = 'If the witness is wrong, remove it from the policy.'

/** `where` names the place that knows of `signed`. */
export function refuseShrunkLog(head: Tree, signed: Tree, where: string): void {
  if (signed.size <= head.size) return
  const message = `${where} has a signed checkpoint of ${signed.size} entries, but the log has only ${head.size}: the \
database is older than the checkpoint, for example after a restore from backup.`
  throw new ForkRefused(`${message} ${WHAT_TO_DO}`)
}

/** `proof`: that `head` continues `signed`, made from the log as it is now. */
export function refuseFork(head: Tree, signed: Tree, proof: Buffer[], where: string): void {
  const isContinued = verifyConsistency({
    oldSize: BigInt(signed.size),
    newSize: BigInt(head.size),
    oldRoot: signed.root,
    newRoot: head.root,
    proof,
  })
  if (isContinued) return
  const message = `log of ${head.size} entries does not extend the signed checkpoint of ${signed.size} entries in \
${where}: signed entries were changed, moved or removed.`
  throw new ForkRefused(`${message} ${WHAT_TO_DO}`)
}

/** A witness has cosigned `witnessed` entries. Whatever it has cosigned was signed and kept here before. */
export function refuseWitnessed(witnessed: number, newestSigned: number, witness: string): void {
  if (witnessed <= newestSigned) return
  const message = `witness ${witness} has cosigned a checkpoint of ${witnessed} entries, but the newest one stored here \
has ${newestSigned}: the database is older than the checkpoint, for example after a restore from backup, or the witness is wrong.`
  throw new ForkRefused(`${message} ${WHAT_TO_DO} ${WRONG_WITNESS}`)
}

/** A witness does not accept the proof that the tree of `size` entries continues what it has cosigned. */
export function refuseUnproven(witnessed: number, size: number, witness: string): never {
  const message = `witness ${witness} rejects the log of ${size} entries: it does not extend the ${witnessed} entries that \
the witness has cosigned. Entries were changed, moved or removed, or the witness is wrong.`
  throw new ForkRefused(`${message} ${WHAT_TO_DO} ${WRONG_WITNESS}`)
}
