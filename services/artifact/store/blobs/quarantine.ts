// Bytes that are not what they should be: kept out of every answer until right ones take their place.
import { forkFor, inTransaction, type Database, type EntityManager } from '#lib/store/database.ts'
import { findHolders, type BytesState } from './blob.ts'
import { blobResource, bySystem } from '../events.ts'

/** Bytes as they were looked at. */
export interface SeenBytes {
  digest: string
  objectKey: string
  verifyTime: string
}

/** Lets the bytes be verified soon, because somebody got other ones. Each time is another one, so that the verdict on an
 * earlier suspicion does not cover a later one. */
export async function suspect(database: Database, { digest, objectKey }: Omit<SeenBytes, 'verifyTime'>): Promise<void> {
  await forkFor(database).execute(
    `update blob set verify_time = case when verify_time < '1971-01-01' then verify_time + interval '1 microsecond'
        else 'epoch' end where digest = ? and object_key = ?`,
    [digest, objectKey],
  )
}

/** Notes what the bytes were found to be. Returns false where others have taken their place meanwhile. */
export async function noteVerdict(
  database: Database,
  seen: SeenBytes,
  state: BytesState,
  problem: string,
): Promise<boolean> {
  const { digest, objectKey } = seen
  return inTransaction(database, undefined, async (em) => {
    const [blob] = await em.execute<{ state: BytesState }[]>(
      'select state from blob where digest = ? and object_key = ? for no key update',
      [digest, objectKey],
    )
    if (!blob) return false
    // A suspicion that arose meanwhile stays.
    await em.execute(
      `update blob set verifying_until = null, verify_time = case when verify_time = ? then now() else verify_time end
        where digest = ?`,
      [seen.verifyTime, digest],
    )
    if (blob.state === state) return true
    await em.execute('update blob set state = ? where digest = ?', [state, digest])
    const type = state === 'QUARANTINED' ? 'blob.quarantined.v1' : 'blob.repaired.v1'
    await tellHolders(em, digest, type, problem)
    return true
  })
}

/** Each namespace learns of it, and none of the others. */
export async function tellHolders(
  em: EntityManager,
  digest: string,
  type: 'blob.quarantined.v1' | 'blob.repaired.v1',
  problem?: string,
): Promise<void> {
  for (const namespace of await findHolders(em, digest)) {
    const resource = blobResource(namespace, digest)
    bySystem(em, { type, resource, ...(problem ? { details: { problem } } : {}) })
  }
}
