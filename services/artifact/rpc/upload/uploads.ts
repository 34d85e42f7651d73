import type { HandlerContext } from '@connectrpc/connect'
import type {
  AbortUploadRequest,
  GetUploadRequest,
  StartUploadRequest,
} from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { parseDigest, parseUuid } from '#lib/values/ids.ts'
import { forkFor, inTransaction, type EntityManager } from '#lib/store/database.ts'
import { parseBlobSize, partSizeOf } from '../../domain/blob.ts'
import { parseNamespace } from '../../domain/namespace.ts'
import { newObjectKey } from '../../store/byte-store.ts'
import { doubtBeginning } from '../../store/garbage/doomed-object.ts'
import { listParts } from '../../store/uploads/upload-part.ts'
import {
  closeUpload,
  countUnfinished,
  extendUpload,
  insertUpload,
  lockUpload,
  lockUploadsOf,
  setStoreUpload,
  type UploadInit,
} from '../../store/uploads/upload-state.ts'
import { UNFINISHED, Upload } from '../../store/uploads/upload.ts'
import type { Backend } from '../../deps.ts'
import { keepBlob } from '../../changes/keep-blobs.ts'
import { presentBlob, presentUpload } from '../present.ts'
import { failKnownSize } from '../streaming/receive.ts'
import { failBusy, failClosed, failTooMany, failUnknown } from './upload-faults.ts'

export const FORGOTTEN = {
  state: 'EXPIRED',
  failure: { reason: 'STORE_FORGOT', message: 'the store no longer has its parts: start anew' },
} as const

export async function startUpload(backend: Backend, request: StartUploadRequest, context: HandlerContext) {
  const access = accessOf(context)
  const namespace = parseNamespace(request.namespace, 'namespace')
  access.require(namespace)
  const digest = parseDigest(request.digest, 'digest')
  const sizeBytes = parseBlobSize(request.sizeBytes, 'size_bytes')
  const em = forkFor(backend.database, context.signal)
  const { principal } = access.caller
  // Repeated where another call ends the unfinished upload that was found.
  for (;;) {
    const blob = await keepBlob(backend, context, namespace, digest)
    if (blob) {
      if (blob.sizeBytes !== sizeBytes) failKnownSize(sizeBytes, blob.sizeBytes)
      return { result: { case: 'blob' as const, value: presentBlob(blob) } }
    }
    const upload = await openUpload(backend, context, { namespace, principal, digest, sizeBytes })
    if (!UNFINISHED.includes(upload.state)) continue
    return { result: { case: 'upload' as const, value: presentUpload(upload, await listParts(em, upload.id)) } }
  }
}

export async function getUpload({ database }: Backend, request: GetUploadRequest, context: HandlerContext) {
  const upload = await requireUpload(database, request.uploadId, 'upload_id', context)
  const parts = await listParts(forkFor(database, context.signal), upload.id)
  return { upload: presentUpload(upload, parts) }
}

export async function abortUpload(backend: Backend, request: AbortUploadRequest, context: HandlerContext) {
  const upload = await requireUpload(backend.database, request.uploadId, 'upload_id', context)
  await inTransaction(backend.database, context.signal, async (em) => {
    const locked = await lockUpload(em, upload.id)
    const { state, busy } = locked
    if (state === 'ABORTED') return
    if (!UNFINISHED.includes(state)) failClosed(locked)
    if (busy) failBusy(upload.id)
    await closeUpload(em, upload.id, { state: 'ABORTED' })
  })
  backend.digests.forget(upload.id)
  backend.janitor.wake()
  return {}
}

type Announced = Pick<UploadInit, 'namespace' | 'principal' | 'digest' | 'sizeBytes'>

/** The caller's unfinished upload of the blob, or a new one. */
async function openUpload(backend: Backend, context: HandlerContext, announced: Announced): Promise<Upload> {
  const { database } = backend
  const { id, isNew } = await inTransaction(database, context.signal, (em) => findOrInsert(em, backend, announced))
  const em = forkFor(database, context.signal)
  const upload = await em.findOneOrFail(Upload, { id })
  if (upload.state !== 'OPEN') return upload
  if (!isNew) await extendUpload(em, id, backend.uploadExpireSeconds)
  return begin(backend, context, upload)
}

async function findOrInsert(em: EntityManager, backend: Backend, announced: Announced) {
  const { principal, namespace, sizeBytes } = announced
  await lockUploadsOf(em, principal, namespace)
  const unfinished = await em.findOne(Upload, { ...announced, resumable: true, state: { $in: UNFINISHED } })
  if (unfinished) return { id: unfinished.id, isNew: false }
  const limit = backend.uploadLimit
  if ((await countUnfinished(em, principal, namespace, limit)) >= limit) failTooMany(namespace, limit)
  const id = await insertUpload(em, {
    ...announced,
    partSizeBytes: partSizeOf(sizeBytes),
    resumable: true,
    objectKey: newObjectKey(),
    expireSeconds: backend.uploadExpireSeconds,
  })
  return { id, isNew: true }
}

/** The store learns of an upload only after it was recorded. */
async function begin(backend: Backend, context: HandlerContext, upload: Upload): Promise<Upload> {
  const { database, bytes } = backend
  const em = forkFor(database, context.signal)
  if (upload.storeUploadId === null && upload.sizeBytes > 0) {
    const onDoubt = () => doubtBeginning(forkFor(database), upload.objectKey)
    const storeUploadId = await bytes.begin(upload.objectKey, onDoubt)
    // Another call of the same client may have been faster: its name holds, and what the other began is given up with
    // the upload, or when it is completed.
    await setStoreUpload(forkFor(database), upload.id, storeUploadId)
  }
  return em.findOneOrFail(Upload, { id: upload.id })
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
