import type { HandlerContext } from '@connectrpc/connect'
import type {
  AbortUploadRequest,
  GetUploadRequest,
  StartUploadRequest,
} from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { accessOf } from '#lib/caller.ts'
import { fail } from '#lib/errors.ts'
import { parseDigest, parseUuid } from '#lib/ids.ts'
import { forkFor, inTransaction } from '#lib/store/database.ts'
import { parseBlobSize, partSizeOf } from '../domain/blob.ts'
import { parseNamespace } from '../domain/namespace.ts'
import { findBlob } from '../store/blob.ts'
import { newObjectKey } from '../store/byte-store.ts'
import {
  closeUpload,
  extendUpload,
  insertUpload,
  listParts,
  lockUpload,
  setStoreUpload,
  type UploadInit,
} from '../store/upload-state.ts'
import { Upload, type UploadState } from '../store/upload.ts'
import type { Backend } from './backend.ts'
import { presentBlob, presentUpload } from './present.ts'
import { failKnownSize } from './receive.ts'

export async function startUpload(backend: Backend, request: StartUploadRequest, context: HandlerContext) {
  const { database, uploadExpireSeconds } = backend
  const access = accessOf(context)
  const namespace = parseNamespace(request.namespace, 'namespace')
  access.require(namespace)
  const digest = parseDigest(request.digest, 'digest')
  const sizeBytes = parseBlobSize(request.sizeBytes, 'size_bytes')
  const em = forkFor(database, context.signal)
  const blob = await findBlob(em, namespace, digest)
  if (blob) {
    if (blob.sizeBytes !== sizeBytes) failKnownSize(sizeBytes, blob.sizeBytes)
    return { result: { case: 'blob' as const, value: presentBlob(blob) } }
  }
  const upload = await openUpload(backend, context, {
    namespace,
    principal: access.caller.principal,
    digest,
    sizeBytes,
    partSizeBytes: partSizeOf(sizeBytes),
    resumable: true,
    objectKey: newObjectKey(),
    expireSeconds: uploadExpireSeconds,
  })
  return { result: { case: 'upload' as const, value: presentUpload(upload, await listParts(em, upload.id)) } }
}

export async function getUpload({ database }: Backend, request: GetUploadRequest, context: HandlerContext) {
  const upload = await requireUpload(database, request.uploadId, 'upload_id', context)
  const parts = await listParts(forkFor(database, context.signal), upload.id)
  return { upload: presentUpload(upload, parts) }
}

export async function abortUpload(backend: Backend, request: AbortUploadRequest, context: HandlerContext) {
  const upload = await requireUpload(backend.database, request.uploadId, 'upload_id', context)
  await inTransaction(backend.database, context.signal, async (em) => {
    const { state, busy } = await lockUpload(em, upload.id)
    if (busy) failBusy(upload.id)
    if (state === 'COMMITTED' || state === 'EXPIRED') failClosed(upload.id, state)
    await closeUpload(em, upload.id, 'ABORTED')
  })
  backend.janitor.wake()
  return {}
}

/** A new upload, or the caller's unfinished one of the same blob. */
async function openUpload(backend: Backend, context: HandlerContext, init: UploadInit): Promise<Upload> {
  const em = forkFor(backend.database, context.signal)
  const { principal, namespace, digest, sizeBytes } = init
  const unfinished = { state: { $in: ['OPEN' as const, 'COMPLETING' as const] }, resumable: true }
  // Repeated where the unfinished one was finished between the two statements.
  for (;;) {
    const id = await insertUpload(em, init)
    const upload = id
      ? await em.findOneOrFail(Upload, { id })
      : await em.findOne(Upload, { principal, namespace, digest, sizeBytes, ...unfinished })
    if (upload) return ensureBegun(backend, context, upload)
  }
}

/** The store learns of an upload only after it was recorded. */
async function ensureBegun(
  { database, bytes, ...backend }: Backend,
  context: HandlerContext,
  upload: Upload,
): Promise<Upload> {
  const em = forkFor(database, context.signal)
  if (upload.state === 'OPEN') await extendUpload(em, upload.id, backend.uploadExpireSeconds)
  if (upload.state === 'OPEN' && upload.storeUploadId === null && upload.sizeBytes > 0) {
    const storeUploadId = await bytes.begin(upload.objectKey)
    // Another call of the same client may have been faster: its name holds, and the janitor finds both by the key.
    await setStoreUpload(forkFor(database), upload.id, storeUploadId)
  }
  return em.findOneOrFail(Upload, { id: upload.id }, { refresh: true })
}

/** The caller's upload. To everybody else it does not exist. */
export async function requireUpload(
  database: Backend['database'],
  uploadId: string,
  field: string,
  context: HandlerContext,
): Promise<Upload> {
  const access = accessOf(context)
  const id = parseUuid(uploadId, field)
  const { principal } = access.caller
  const upload = await forkFor(database, context.signal).findOne(Upload, { id, principal, resumable: true })
  if (!upload) failUnknown(id)
  access.require(upload.namespace, () => failUnknown(id))
  return upload
}

function failUnknown(upload: string): never {
  fail('UPLOAD_NOT_FOUND', `there is no upload ${upload}, or it is not yours`, { upload })
}

export function failClosed(upload: string, state: UploadState): never {
  const text = state === 'COMPLETING' ? 'is being completed and takes no parts' : `is over: ${state}`
  fail('UPLOAD_CLOSED', `upload ${upload} ${text}`, { upload, state })
}

export function failBusy(upload: string): never {
  fail('UPLOAD_BUSY', `another call is completing upload ${upload}`, { upload })
}
