// Verified bytes become a blob of a namespace.
import { LockMode } from '@mikro-orm/postgresql'
import type { EntityManager } from '#lib/store/database.ts'
import { transactionTime } from '#lib/store/time.ts'
import type { Emit } from '../events.ts'
import { scheduleDeletion } from '../garbage/pending-deletion.ts'
import { insertIfAbsent } from '../insert.ts'
import { extendLeases } from './blob-lease.ts'
import { Blob, NamespaceBlob, type BlobInit } from './blob.ts'

export interface AddedBlob {
  /** The namespace got the blob by this call. */
  isNew: boolean
  /** The bytes replaced quarantined ones. */
  isRepaired: boolean
}

/** Makes verified bytes a blob of the namespace and gives it a lease. If the same bytes are stored under another key, one of
 * the two objects is deleted: the quarantined one, or else the new one. */
export async function addBlob(em: EntityManager, emit: Emit, blob: BlobInit): Promise<AddedBlob> {
  const { namespace, digest } = blob
  // Garbage collection locks the row of the bytes before that of the namespace, too.
  const isRepaired = await storeBytes(em, blob)
  const isNew = await insertIfAbsent(em, NamespaceBlob, { namespace, blob: digest })
  if (!isNew) await extendLeases(em, emit, namespace, [digest])
  return { isNew, isRepaired }
}

/** Leaves the row locked. Returns whether the bytes replaced quarantined ones. */
async function storeBytes(em: EntityManager, blob: BlobInit): Promise<boolean> {
  const { digest, sizeBytes, partSizeBytes, partSha256s, objectKey } = blob
  const bytes = { digest, sizeBytes, partSizeBytes, partSha256s, objectKey }
  // The row may be collected between the insert and the lock: then both are repeated.
  for (;;) {
    if (await insertIfAbsent(em, Blob, bytes)) return false
    const known = await em.findOne(Blob, { digest }, { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true })
    if (!known) continue
    const isRepaired = known.state === 'QUARANTINED'
    await scheduleDeletion(em, isRepaired ? known.objectKey : objectKey)
    if (isRepaired) {
      em.assign(known, { ...bytes, state: 'PRESENT', verifyTime: transactionTime(), verifyingUntil: null })
      await em.flush()
    }
    return isRepaired
  }
}
