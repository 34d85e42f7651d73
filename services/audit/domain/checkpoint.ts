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
  'Nothing is signed until this is mended. Bring the database back to its newest state (a newer backup, or a replica). ' +
  'Where the entries since are lost for good, this log has ended: keep its last checkpoint as evidence, and go on under ' +
  'another AUDIT_ORIGIN, with another key and another AUDIT_STATE_FILE.'

/** `where` names the place that knows of `signed`. */
export function refuseShrunkLog(head: Tree, signed: Tree, where: string): void {
  if (signed.size <= head.size) return
  const message = `${where} has a signed checkpoint of ${signed.size} entries, and the log has only ${head.size}: the \
database is older than what was signed, as a restored backup is.`
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
  const message = `the log of ${head.size} entries does not continue the signed checkpoint of ${signed.size} entries in \
${where}: entries that were signed have been changed, moved or removed.`
  throw new ForkRefused(`${message} ${WHAT_TO_DO}`)
}

/** A witness has cosigned `witnessed` entries. Whatever it has cosigned was signed and kept here before. */
export function refuseWitnessed(witnessed: number, newestSigned: number, witness: string): void {
  if (witnessed <= newestSigned) return
  const message = `the witness ${witness} has cosigned a checkpoint of ${witnessed} entries, and the newest that is kept \
here has ${newestSigned}: the database is older than what was signed, as a restored backup is, or the witness is wrong.`
  throw new ForkRefused(`${message} ${WHAT_TO_DO} A witness that is wrong is taken out of the policy.`)
}

/** A witness does not accept the proof that the tree of `size` entries continues what it has cosigned. */
export function refuseUnproven(witnessed: number, size: number, witness: string): never {
  const message = `the witness ${witness} refuses the log of ${size} entries: it does not continue the ${witnessed} entries \
that the witness has cosigned, so that entries were changed, moved or removed, or the witness is wrong.`
  throw new ForkRefused(`${message} ${WHAT_TO_DO} A witness that is wrong is taken out of the policy.`)
}
