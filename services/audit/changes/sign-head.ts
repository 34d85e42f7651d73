// Signs the head of the log as a checkpoint. Any number of replicas may do so: the database lets one sign at a time.
import { writeDurably } from '#lib/process/durable.ts'
import { inTransaction, type Database, type EntityManager } from '#lib/store/database.ts'
import { requireExtension, requireNotShrunk, type Tree } from '../domain/checkpoint.ts'
import { signCheckpoint, type Signer } from '../signer.ts'
import {
  findNewestSigned,
  findSigned,
  insertCheckpoint,
  insertPublication,
  lockSigning,
  type StoredCheckpoint,
} from '../store/tree/checkpoints.ts'
import { readHead } from '../store/log/log-head.ts'
import { proveConsistency } from '../store/tree/tiles.ts'
import { readStateFile } from './state-file.ts'

/** Returns the signed checkpoint of the log's present head, or undefined while the log is empty. A head that was signed
 * before is not signed again. `isFinal`: the checkpoint needs no cosignatures and is published at once. Throws ForkError
 * where the log does not extend the checkpoints in the state file and in the database. */
export async function signHead(
  database: Database,
  signer: Signer,
  isFinal: boolean,
): Promise<StoredCheckpoint | undefined> {
  const { keyId } = signer
  return inTransaction(database, undefined, async (em) => {
    await lockSigning(em)
    // The head is read under the lock; later appends only extend it.
    const head = await readHead(em)
    const recorded = readStateFile(signer)
    if (recorded) await requireContinuation(em, head, recorded, signer.stateFile!)
    const newest = await findNewestSigned(em)
    if (newest) await requireContinuation(em, head, newest, 'the database')
    if (head.size === 0) return undefined
    const signed = await findSigned(em, head.size, keyId)
    const note = signed?.note ?? signCheckpoint(signer, head)
    // The state file is written before anybody can see the checkpoint.
    if (signer.stateFile && recorded?.note !== note) writeDurably(signer.stateFile, note)
    if (!signed) await insertCheckpoint(em, { ...head, note }, keyId)
    if (isFinal) await insertPublication(em, { size: head.size, keyId, quorum: 'NONE' })
    return { ...head, note }
  })
}

async function requireContinuation(em: EntityManager, head: Tree, signed: Tree, place: string): Promise<void> {
  requireNotShrunk(head, signed, place)
  requireExtension(head, signed, await proveConsistency(em, signed.size, head.size), place)
}
