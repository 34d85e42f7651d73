// A simple upload: stores one blob from one stream, commits it after its bytes are verified, and leaves nothing behind when
// that fails.
import type { HandlerContext } from '@connectrpc/connect'
import { v7 as uuidv7 } from 'uuid'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { forkFor } from '#lib/store/database.ts'
import { partSizeOf } from '../../domain/blob.ts'
import type { Part } from '../../domain/part.ts'
import type { KnownBlob } from '../../store/blobs/blob.ts'
import { ByteStoreError, newObjectKey, storeUnavailable, type StoredPart } from '../../store/byte-store.ts'
import { scheduleAbort } from '../../store/garbage/pending-deletion.ts'
import { abandonSimpleUpload, type SimpleUpload } from '../../store/uploads/simple-upload.ts'
import { extendUpload, setStoreUpload } from '../../store/uploads/upload-state.ts'
import { completeObject } from '../upload/assemble.ts'
import type { Backend } from '../../deps.ts'
import { SIMPLE_EXPIRE_SECONDS } from '../../changes/blob-commit-batcher.ts'
import { renewLease } from '../../changes/blob-leases.ts'

export interface AnnouncedBlob {
  namespace: string
  digest: string
  sizeBytes: number
}

export interface Stored {
  blob: KnownBlob
  /** The namespace had the blob before all parts were received. */
  existed: boolean
}

/** `parts` yields the bytes in parts of `partSizeOf(blob.sizeBytes)`, and throws before the last one unless the whole has the
 * announced size and digest. No part is read before there is budget for it, or if the namespace has the blob. */
export async function storeBlob(
  backend: Backend,
  context: HandlerContext,
  blob: AnnouncedBlob,
  parts: AsyncIterable<Part>,
): Promise<Stored> {
  const find = () => renewLease(backend, context, blob.namespace, blob.digest)
  for (;;) {
    const upload = await beginSimpleUpload(backend, context, blob)
    if (upload) return storeNew(backend, context, upload, parts, find)
    const known = await find()
    if (known) return { blob: known, existed: true }
  }
}

async function storeNew(
  backend: Backend,
  context: HandlerContext,
  upload: SimpleUpload,
  parts: AsyncIterable<Part>,
  find: FindBlob,
): Promise<Stored> {
  let release: (() => void) | undefined
  try {
    release = await acquireBudget(backend, upload)
    const { known, partSha256s } = await storeParts(backend, upload, parts, find)
    if (known) {
      await abandon(backend, upload)
      return { blob: known, existed: true }
    }
    const result = await backend.blobCommits.finish({ upload: { ...upload, partSha256s }, context })
    if (result.isExpired) fail('UPLOAD_CLOSED', 'the upload has expired', { upload: upload.id, state: 'EXPIRED' })
    backend.relay.wake()
    return { blob: result.blob ?? (await find())!, existed: false }
  } catch (error) {
    await abandon(backend, upload).catch(() => undefined)
    // Only this call uses the object, so an error about its state is a fault of the store.
    throw error instanceof ByteStoreError ? storeUnavailable(error) : error
  } finally {
    release?.()
  }
}

/** Acquires budget for two parts: one is sent to the store while the next is received. */
function acquireBudget(
  { budget }: Backend,
  { principal, sizeBytes, partSizeBytes }: SimpleUpload,
): Promise<() => void> {
  return budget.acquire(principal, Math.min(sizeBytes, 2 * partSizeBytes))
}

async function abandon({ database, janitor }: Backend, upload: SimpleUpload): Promise<void> {
  await abandonSimpleUpload(forkFor(database), upload.id)
  janitor.wake()
}

/** Records a new upload; undefined if the namespace has the blob. */
async function beginSimpleUpload(
  { blobCommits }: Backend,
  context: HandlerContext,
  blob: AnnouncedBlob,
): Promise<SimpleUpload | undefined> {
  const { principal } = accessOf(context).caller
  const partSizeBytes = partSizeOf(blob.sizeBytes)
  const upload = { ...blob, id: uuidv7(), principal, partSizeBytes, objectKey: newObjectKey() }
  return (await blobCommits.begin(upload)) ? upload : undefined
}

type FindBlob = () => Promise<KnownBlob | undefined>

/** The SHA-256 of every part, or the blob if another upload committed it meanwhile. */
type StoredParts = { known: KnownBlob; partSha256s?: undefined } | { known?: undefined; partSha256s: Buffer }

async function storeParts(
  backend: Backend,
  upload: SimpleUpload,
  parts: AsyncIterable<Part>,
  find: FindBlob,
): Promise<StoredParts> {
  if (upload.sizeBytes > upload.partSizeBytes) return storeManyParts(backend, upload, parts, find)
  for await (const part of parts) {
    await backend.bytes.put(upload.objectKey, part)
    part.recycle()
    return { partSha256s: part.sha256 }
  }
  throw new Error('the blob has no part')
}

/** Sends each part to the store while the next one is received. */
async function storeManyParts(
  { database, bytes }: Backend,
  upload: SimpleUpload,
  parts: AsyncIterable<Part>,
  find: FindBlob,
): Promise<StoredParts> {
  const { id, objectKey: key, partSizeBytes } = upload
  const onDoubt = () => scheduleAbort(forkFor(database), key)
  const uploadId = await bytes.begin(key, onDoubt)
  await setStoreUpload(forkFor(database), id, uploadId)
  const stored: StoredPart[] = []
  const sha256s: Buffer[] = []
  let storing: Promise<void> | undefined
  try {
    for await (const part of parts) {
      const known = await find()
      if (known) return { known }
      await storing
      const number = sha256s.push(part.sha256)
      const { length } = part
      const offset = (number - 1) * partSizeBytes
      storing = bytes.putPart({ key, uploadId, number, offset }, part).then((etag) => {
        stored.push({ number, length, etag })
        part.recycle()
      })
      storing.catch(() => undefined)
      await extendUpload(forkFor(database), id, SIMPLE_EXPIRE_SECONDS)
    }
    await storing
  } finally {
    await storing?.catch(() => undefined)
  }
  await completeObject(bytes, upload, uploadId, stored, onDoubt)
  return { partSha256s: Buffer.concat(sha256s) }
}
