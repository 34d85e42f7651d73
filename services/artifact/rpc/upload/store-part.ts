// Storing one part of a resumable upload, which may still be arriving.
import { createHash } from 'node:crypto'
import { forkFor } from '#lib/store/database.ts'
import { partCountOf } from '../../domain/blob.ts'
import type { Part } from '../../domain/part.ts'
import { isByteStoreProblem, storeUnavailable } from '../../store/byte-store.ts'
import { requireStore } from '../../store/installation.ts'
import { countAttempt, undoAttempt, recordPart } from '../../store/uploads/upload-part.ts'
import { closeUpload } from '../../store/uploads/upload-state.ts'
import type { Upload } from '../../store/uploads/upload.ts'
import type { Backend } from '../../deps.ts'
import { LOST_PARTS, failClosedNow, failPartDigest } from './upload-errors.ts'

/** Writes the part to the store, records it, and adds it to the running digest of the blob. Recycles its memory once it is
 * stored. Throws UPLOAD_CLOSED when the upload accepts no more parts. */
export async function storePart(backend: Backend, upload: Upload, number: number, part: Part): Promise<void> {
  const { database, digests } = backend
  if (!(await countAttempt(forkFor(database), upload.id))) await failClosedNow(backend, upload.id)
  const isOnly = partCountOf(upload.sizeBytes, upload.partSizeBytes) === 1
  const leaveDigest = isOnly ? undefined : digests.open(upload.id).add(number, part)
  let isStored = false
  try {
    const etag = await writeToStore(backend, upload, number, part)
    isStored = true
    await record(backend, upload, number, part, etag)
  } catch (error) {
    // The store accepts no part that is not complete, so this attempt changed nothing.
    if (!isStored && !part.isComplete) await undoAttempt(forkFor(database), upload.id)
    throw error
  } finally {
    await leaveDigest?.(isStored)
    // After a failure, the store's client may still be reading the memory.
    if (isStored) part.recycle()
  }
}

async function writeToStore(backend: Backend, upload: Upload, number: number, part: Part): Promise<string> {
  const { objectKey: key, partSizeBytes, storeUploadId } = upload
  try {
    const place = { key, uploadId: storeUploadId!, number, offset: (number - 1) * partSizeBytes }
    return await backend.bytes.putPart(place, part)
  } catch (error) {
    if (isByteStoreProblem(error, 'digest differs')) return failDiffering(backend, upload.id, number, part, error)
    if (!isByteStoreProblem(error, 'upload gone')) throw error
    await requireStore(backend)
    // Another call completed or expired the upload, or the store removed it, as S3 servers do with old unfinished uploads.
    await closeUpload(forkFor(backend.database), upload.id, { ...LOST_PARTS, epoch: upload.epoch })
    return failClosedNow(backend, upload.id)
  }
}

/** Reports that the store rejected the bytes because of their digest. */
async function failDiffering(
  { database, digests }: Backend,
  id: string,
  number: number,
  part: Part,
  cause: unknown,
): Promise<never> {
  await undoAttempt(forkFor(database), id)
  const hash = createHash('sha256')
  for (const piece of (await part.readAll()).pieces) hash.update(piece)
  const [expected, actual] = [part.sha256.toString('hex'), hash.digest('hex')]
  if (expected === actual) throw storeUnavailable(cause)
  // The running digest may contain these bytes.
  digests.forget(id)
  failPartDigest(number, `sha256:${expected}`, `sha256:${actual}`)
}

async function record(backend: Backend, upload: Upload, number: number, part: Part, etag: string): Promise<void> {
  const stored = { number, sizeBytes: part.length, sha256: part.sha256, etag }
  const isOpen = await recordPart(forkFor(backend.database), upload.id, stored, backend.uploadExpireSeconds)
  if (!isOpen) await failClosedNow(backend, upload.id)
}
