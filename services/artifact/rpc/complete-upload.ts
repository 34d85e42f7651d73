// The end of a resumable upload. One call at a time has it, under a lease; any later call finds out from the database
// and the store how far a lost one came, and goes on from there.
import type { HandlerContext } from '@connectrpc/connect'
import type { CompleteUploadRequest } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { fail } from '#lib/errors.ts'
import { forkFor, inTransaction } from '#lib/store/database.ts'
import { partCountOf } from '../domain/blob.ts'
import { findBlob, type StoredBlob } from '../store/blob.ts'
import { isByteStoreProblem } from '../store/byte-store.ts'
import {
  closeUpload,
  commitUpload,
  leaseUpload,
  listMissingParts,
  listParts,
  lockUpload,
  releaseLease,
  reopenUpload,
} from '../store/upload-state.ts'
import type { Upload } from '../store/upload.ts'
import { assembleObject, hashObject } from './assemble.ts'
import type { Backend } from './backend.ts'
import { keepLease } from './lease.ts'
import { presentBlob } from './present.ts'
import { failDigest } from './receive.ts'
import { commitBlob } from './store-blob.ts'
import { failBusy, failClosed, requireUpload } from './uploads.ts'

export async function completeUpload(backend: Backend, request: CompleteUploadRequest, context: HandlerContext) {
  const { database, janitor, relay } = backend
  const upload = await requireUpload(database, request.uploadId, 'upload_id', context)
  const epoch = await claim(backend, upload, context)
  if (epoch !== undefined) {
    // Not tied to the call: a client that lost its connection finds the work done when it asks again.
    const work = finish(backend, upload, epoch, context)
    backend.running.add(work)
    await work.finally(() => backend.running.delete(work))
    relay.wake()
  }
  janitor.wake()
  const blob = await findBlob(forkFor(database, context.signal), upload.namespace, upload.digest)
  return { blob: presentBlob(blob ?? fail('BLOB_NOT_FOUND', 'the blob was removed', { digest: upload.digest })) }
}

/** Returns the epoch under which this call completes the upload; undefined where the namespace has the blob. */
async function claim(backend: Backend, upload: Upload, context: HandlerContext): Promise<number | undefined> {
  return inTransaction(backend.database, context.signal, async (em) => {
    const { state, busy } = await lockUpload(em, upload.id)
    if (state === 'COMMITTED') return undefined
    if (state === 'ABORTED' || state === 'EXPIRED') failClosed(upload.id, state)
    if (busy) failBusy(upload.id)
    if (await findBlob(em, upload.namespace, upload.digest)) {
      await closeUpload(em, upload.id, 'COMMITTED')
      return undefined
    }
    if (state === 'OPEN') {
      const missing = await listMissingParts(em, upload.id, partCountOf(upload.sizeBytes, upload.partSizeBytes))
      if (missing.length > 0) failMissing(missing)
    }
    return leaseUpload(em, upload.id, backend.uploadExpireSeconds)
  })
}

async function finish(backend: Backend, upload: Upload, epoch: number, context: HandlerContext): Promise<void> {
  const { database } = backend
  const lease = keepLease(database, upload.id, epoch, backend.closing)
  try {
    const parts = await listParts(forkFor(database), upload.id)
    await assembleObject(backend.bytes, upload, parts)
    const { digest, partSha256s } = await hashObject(backend.bytes, upload, lease.signal)
    if (digest !== upload.digest) {
      await closeUpload(forkFor(database), upload.id, 'ABORTED', epoch)
      backend.janitor.wake()
      failDigest(upload.digest, digest)
    }
    await inTransaction(database, undefined, async (em) => {
      if (!(await commitUpload(em, upload.id, epoch))) failBusy(upload.id)
      await commitBlob(em, context, { ...describe(upload), partSha256s })
    })
  } catch (error) {
    await recover(backend, upload, epoch, error)
  } finally {
    lease.end()
  }
}

function describe({
  namespace,
  digest,
  sizeBytes,
  partSizeBytes,
  objectKey,
}: Upload): Omit<StoredBlob, 'createTime' | 'partSha256s'> & { namespace: string } {
  return { namespace, digest, sizeBytes, partSizeBytes, objectKey }
}

/** Leaves the upload such that the next call can do something about what went wrong. */
async function recover({ database, janitor }: Backend, upload: Upload, epoch: number, error: unknown): Promise<never> {
  if (isByteStoreProblem(error, 'part stale')) {
    await inTransaction(database, undefined, (em) => reopenUpload(em, upload.id, epoch))
    const count = partCountOf(upload.sizeBytes, upload.partSizeBytes)
    failMissing(Array.from({ length: Math.min(count, 100) }, (_, index) => index + 1))
  }
  if (isByteStoreProblem(error, 'upload gone') || isByteStoreProblem(error, 'object gone')) {
    await closeUpload(forkFor(database), upload.id, 'EXPIRED', epoch)
    janitor.wake()
    failClosed(upload.id, 'EXPIRED')
  }
  await releaseLease(forkFor(database), upload.id, epoch).catch(() => undefined)
  throw error
}

function failMissing(missing: number[]): never {
  fail('PARTS_MISSING', `parts are missing: ${missing.join(', ')}`, { missing: missing.join(',') })
}
