// Expires uploads and deletes objects that nothing needs any more. Every replica runs a janitor; they share the work by
// claims, and make no call to the store inside a transaction.
import { loop, type Background } from '#lib/process/background.ts'
import type { Logger } from '#lib/process/log.ts'
import type { Database } from '#lib/store/database.ts'
import type { ByteStore } from '../../store/byte-store.ts'
import { claimDeletions, finishDeletion, type ClaimedDeletion } from '../../store/garbage/pending-deletion.ts'
import { requireStore } from '../../store/installation.ts'
import { deleteClosedUploads, expireUploads } from '../../store/uploads/expired-uploads.ts'

export interface JanitorOptions {
  database: Database
  bytes: ByteStore
  logger: Logger
  everyMs: number
}

/** A janitor has a minute to delete an object. After a failure the object waits for the same time, and twice as long after
 * each further failure, up to an hour. */
const CLAIM = { limit: 20, seconds: 60, maxSeconds: 3600 }

export function startJanitor(options: JanitorOptions): Background {
  let failing = false

  const round = async (stopping: AbortSignal): Promise<void> => {
    try {
      await sweep(options, stopping)
      failing = false
    } catch (error) {
      if (!failing) options.logger.warn({ error }, 'pending deletions failed; the janitor retries them')
      failing = true
    }
  }

  return loop(options.everyMs, round)
}

/** One round of a janitor. An object that cannot be deleted does not delay the others. */
export async function sweep({ database, bytes }: JanitorOptions, stopping?: AbortSignal): Promise<void> {
  await expireUploads(database)
  const claim = async () => (stopping?.aborted ? [] : claimDeletions(database, CLAIM))
  const failures: unknown[] = []
  for (let claimed = await claim(); claimed.length > 0; claimed = await claim()) {
    const before = failures.length
    // An unavailable store has no objects, so each deletion would seem to succeed.
    await requireStore({ database, bytes })
    for (const deletion of claimed) {
      if (stopping?.aborted) return
      await deleteObject(database, bytes, deletion).catch((error: unknown) => failures.push(error))
    }
    // The store is out of reach if a whole batch fails.
    if (failures.length - before === claimed.length) break
  }
  await deleteClosedUploads(database)
  if (failures.length > 0) throw failures[0]
}

async function deleteObject(database: Database, bytes: ByteStore, deletion: ClaimedDeletion): Promise<void> {
  const { objectKey, storeUploadId, keepsObject } = deletion
  await bytes.abort(objectKey, storeUploadId)
  if (!keepsObject) await bytes.remove(objectKey)
  await finishDeletion(database, deletion)
}
