// Completes a resumable upload. One call at a time owns the upload, under a lease. When its process dies, a later call
// continues from the state that the database and the store have.
import type { HandlerContext } from '@connectrpc/connect'
import type { CompleteUploadRequest } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { fail } from '#lib/errors/errors.ts'
import { forkFor, inTransaction } from '#lib/store/database.ts'
import { partCountOf } from '../../domain/blob.ts'
import { findBlob } from '../../store/blobs/find-blob.ts'
import { isByteStoreProblem } from '../../store/byte-store.ts'
import { requireStore } from '../../store/installation.ts'
import { listMissingParts, listParts } from '../../store/uploads/upload-part.ts'
import {
  advanceUpload,
  closeUpload,
  commitUpload,
  lockUpload,
  acquireUpload,
  releaseLease,
  reopenUpload,
  type Ownership,
} from '../../store/uploads/upload-state.ts'
import { UNFINISHED, type SealedState, type Upload } from '../../store/uploads/upload.ts'
import { assembleObject, hashObject, type Hashed } from './assemble.ts'
import type { Backend } from '../../deps.ts'
import { commitBlob } from '../../changes/commit-blob.ts'
import { renewLeaseIn } from '../../changes/blob-leases.ts'
import { presentBlob } from '../present.ts'
import { holdCompletionLease } from './completion-lease.ts'
import { findPrefix, noPrefix } from './hashed-prefix.ts'
import { requireUpload } from './require-upload.ts'
import { LOST_PARTS, failBusy, failClosed, failMissing } from './upload-errors.ts'

/** Bytes in memory while an object is read back. */
const READ_BACK_BYTES = 1024 * 1024

export async function completeUpload(backend: Backend, request: CompleteUploadRequest, context: HandlerContext) {
  const { database, janitor, relay } = backend
  const upload = await requireUpload(database, request.uploadId, 'upload_id', context)
  const owned = await claim(backend, upload, context)
  if (owned) {
    // The work does not end with the call: a client that lost its connection finds the result when it retries.
    const work = finish(backend, upload, owned, context)
    backend.running.add(work)
    await work.finally(() => backend.running.delete(work))
    relay.wake()
  }
  backend.digests.forget(upload.id)
  janitor.wake()
  const blob = await findBlob(forkFor(database, context.signal), upload.namespace, upload.digest)
  return {
    blob: presentBlob(
      blob ?? fail('BLOB_NOT_FOUND', `blob ${upload.digest} was removed meanwhile`, { digest: upload.digest }),
    ),
  }
}

/** Makes this call the owner of the upload; undefined if the namespace has the blob. */
async function claim(backend: Backend, upload: Upload, context: HandlerContext): Promise<Ownership | undefined> {
  return inTransaction(backend.database, context.signal, async (em) => {
    const locked = await lockUpload(em, upload.id)
    const { state, busy } = locked
    if (state === 'COMMITTED') return undefined
    if (!UNFINISHED.includes(state)) failClosed(locked)
    if (busy) failBusy(upload.id)
    if (await renewLeaseIn(em, context, upload.namespace, upload.digest)) {
      await closeUpload(em, upload.id, { state: 'COMMITTED' })
      return undefined
    }
    if (state === 'OPEN') {
      const missing = await listMissingParts(em, upload.id, partCountOf(upload.sizeBytes, upload.partSizeBytes))
      if (missing.length > 0) failMissing(missing)
    }
    return acquireUpload(em, upload.id, backend.uploadExpireSeconds)
  })
}

async function finish(backend: Backend, upload: Upload, owned: Ownership, context: HandlerContext): Promise<void> {
  const { database } = backend
  const lease = holdCompletionLease(database, upload.id, owned.epoch, backend.closing)
  try {
    const hashed = await makeObject(backend, upload, owned, lease.signal).catch(async (error: unknown) => {
      // A store that is not mounted misses every object, so nothing is concluded from it.
      if (isGone(error)) await requireStore(backend)
      throw error
    })
    await inTransaction(database, undefined, async (em) => {
      if (!(await commitUpload(em, upload.id, owned.epoch))) failBusy(upload.id)
      const { namespace, digest, sizeBytes, partSizeBytes, objectKey } = upload
      const { partSha256s } = hashed
      await commitBlob(em, context, { namespace, digest, sizeBytes, partSizeBytes, objectKey, partSha256s })
    })
  } catch (error) {
    await recover(backend, upload, owned, error)
  } finally {
    lease.end()
  }
}

/** Creates the object and verifies its digest, from whichever state the upload was left in. Each state is recorded before
 * its work begins. */
async function makeObject(backend: Backend, upload: Upload, owned: Ownership, signal: AbortSignal): Promise<Hashed> {
  const { bytes, database } = backend
  const advance = async (state: SealedState): Promise<void> => {
    signal.throwIfAborted()
    if (!(await advanceUpload(forkFor(database), upload.id, owned.epoch, state))) failBusy(upload.id)
  }
  const parts = await listParts(forkFor(database), upload.id)
  const prefix = findPrefix(backend, upload, parts, owned.attempts)
  if (prefix.whole) await requireDigest(backend, upload, owned, prefix.whole)
  if (owned.state === 'SEALING') await advance('COMPLETING')
  if (owned.state !== 'VERIFYING') await assembleObject(backend, upload, parts, owned.state === 'COMPLETING')
  if (prefix.whole) return prefix.whole
  await advance('VERIFYING')
  const release = await backend.budget.acquire(upload.principal, READ_BACK_BYTES)
  let hashed: Hashed
  try {
    hashed = await hashObject(bytes, upload, parts, prefix, signal)
    // The bytes may have been damaged on the way back, so only a second bad read counts.
    if (hashed.badPart) hashed = await hashObject(bytes, upload, parts, noPrefix(), signal)
  } finally {
    release()
  }
  await requireDigest(backend, upload, owned, hashed)
  return hashed
}

async function requireDigest(backend: Backend, upload: Upload, { epoch }: Ownership, hashed: Hashed): Promise<void> {
  const { digest: actual, badPart: part } = hashed
  const expected = upload.digest
  if (actual === expected) return
  const where = part ? `; the store returned other bytes for part ${part} than were recorded` : ''
  const message = `the bytes have the digest ${actual}, not ${expected}${where}`
  const failure = { reason: 'DIGEST_MISMATCH' as const, message, ...(part ? { part } : {}) }
  if (!(await closeUpload(forkFor(backend.database), upload.id, { state: 'FAILED', epoch, failure }))) {
    failBusy(upload.id)
  }
  backend.digests.forget(upload.id)
  backend.janitor.wake()
  fail('DIGEST_MISMATCH', message, { expected, actual, ...(part ? { part: String(part) } : {}) })
}

function isGone(error: unknown): boolean {
  return isByteStoreProblem(error, 'upload gone') || isByteStoreProblem(error, 'object gone')
}

/** Puts the upload into the state from which the next call can continue after the error. */
async function recover(backend: Backend, upload: Upload, { epoch }: Ownership, error: unknown): Promise<never> {
  const { database, janitor } = backend
  if (isByteStoreProblem(error, 'part stale')) {
    if (!(await reopenUpload(forkFor(database), upload.id, epoch))) failBusy(upload.id)
    const count = partCountOf(upload.sizeBytes, upload.partSizeBytes)
    failMissing(Array.from({ length: Math.min(count, 100) }, (_, index) => index + 1))
  }
  if (isGone(error)) {
    if (!(await closeUpload(forkFor(database), upload.id, { ...LOST_PARTS, epoch }))) failBusy(upload.id)
    janitor.wake()
    failClosed({
      id: upload.id,
      state: 'EXPIRED',
      failureReason: 'STORE_FORGOT',
      failureMessage: LOST_PARTS.failure.message,
    })
  }
  await releaseLease(forkFor(database), upload.id, epoch).catch(() => undefined)
  throw error
}
