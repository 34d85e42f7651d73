import type { HandlerContext } from '@connectrpc/connect'
import type { StartUploadRequest } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { parseDigest } from '#lib/values/ids.ts'
import { forkFor, inTransaction, type EntityManager } from '#lib/store/database.ts'
import { parseBlobSize, partSizeOf } from '../../domain/blob.ts'
import { parseNamespace } from '../../domain/namespace.ts'
import { newObjectKey } from '../../store/byte-store.ts'
import { scheduleAbort } from '../../store/garbage/pending-deletion.ts'
import { countUnfinished, lockUploadsOf } from '../../store/uploads/upload-limit.ts'
import { listParts } from '../../store/uploads/upload-part.ts'
import { extendUpload, insertUpload, setStoreUpload, type UploadInit } from '../../store/uploads/upload-state.ts'
import { UNFINISHED, Upload } from '../../store/uploads/upload.ts'
import type { Backend } from '../../deps.ts'
import { renewLease } from '../../changes/blob-leases.ts'
import { presentBlob, presentUpload } from '../present.ts'
import { failKnownSize } from '../streaming/mismatch.ts'
import { failTooMany } from './upload-errors.ts'

export async function startUpload(backend: Backend, request: StartUploadRequest, context: HandlerContext) {
  const access = accessOf(context)
  const namespace = parseNamespace(request.namespace, 'namespace')
  access.require(namespace)
  const digest = parseDigest(request.digest, 'digest')
  const sizeBytes = parseBlobSize(request.sizeBytes, 'size_bytes')
  const em = forkFor(backend.database, context.signal)
  const { principal } = access.caller
  // Retries when another call closes the unfinished upload that was found.
  for (;;) {
    const blob = await renewLease(backend, context, namespace, digest)
    if (blob) {
      if (blob.sizeBytes !== sizeBytes) failKnownSize(sizeBytes, blob.sizeBytes)
      return { result: { case: 'blob' as const, value: presentBlob(blob) } }
    }
    const upload = await openUpload(backend, context, { namespace, principal, digest, sizeBytes })
    if (!UNFINISHED.includes(upload.state)) continue
    return { result: { case: 'upload' as const, value: presentUpload(upload, await listParts(em, upload.id)) } }
  }
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

/** Begins the upload in the store, after it was recorded in the database, so that no unfinished object is lost. */
async function begin(backend: Backend, context: HandlerContext, upload: Upload): Promise<Upload> {
  const { database, bytes } = backend
  const em = forkFor(database, context.signal)
  if (upload.storeUploadId === null && upload.sizeBytes > 0) {
    const onDoubt = () => scheduleAbort(forkFor(database), upload.objectKey)
    const storeUploadId = await bytes.begin(upload.objectKey, onDoubt)
    // If another call of the client was faster, its id remains. The other unfinished object is removed when the upload is
    // completed or closed.
    await setStoreUpload(forkFor(database), upload.id, storeUploadId)
  }
  return em.findOneOrFail(Upload, { id: upload.id })
}
