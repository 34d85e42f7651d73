// The simple lane: one blob from one source of bytes, verified before it exists, and nothing left if that fails.
import type { HandlerContext } from '@connectrpc/connect'
import { v7 as uuidv7 } from 'uuid'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { forkFor } from '#lib/store/database.ts'
import { partSizeOf } from '../../domain/blob.ts'
import type { Part } from '../../domain/part.ts'
import type { KnownBlob } from '../../store/blobs/blob.ts'
import { ByteStoreError, newObjectKey, storeUnavailable, type StoredPart } from '../../store/byte-store.ts'
import { doubtBeginning } from '../../store/garbage/doomed-object.ts'
import { giveUpSimpleUpload, type SimpleUpload } from '../../store/uploads/simple-upload.ts'
import { extendUpload, setStoreUpload } from '../../store/uploads/upload-state.ts'
import { completeObject } from '../upload/assemble.ts'
import type { Backend } from '../../deps.ts'
import { keepBlob } from '../../changes/keep-blobs.ts'
import { EXPIRE_SECONDS } from '../../changes/simple-lane.ts'

export interface AnnouncedBlob {
  namespace: string
  digest: string
  sizeBytes: number
}

export interface Stored {
  blob: KnownBlob
  /** The namespace got it before all parts were there. */
  existed: boolean
}

/** `parts`: all bytes in parts of `partSizeOf` the size; it throws before the last one unless the whole has the announced
 * size and digest. It is asked for none where the namespace has the blob, or before there is room for them. */
export async function storeBlob(
  backend: Backend,
  context: HandlerContext,
  blob: AnnouncedBlob,
  parts: AsyncIterable<Part>,
): Promise<Stored> {
  const find = () => keepBlob(backend, context, blob.namespace, blob.digest)
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
    release = await reserve(backend, upload)
    const { known, partSha256s } = await storeParts(backend, upload, parts, find)
    if (known) {
      await giveUp(backend, upload)
      return { blob: known, existed: true }
    }
    const ended = await backend.simpleLane.finish({ upload: { ...upload, partSha256s }, context })
    if (ended.isOver) fail('UPLOAD_CLOSED', 'the upload took too long', { upload: upload.id, state: 'EXPIRED' })
    backend.relay.wake()
    return { blob: ended.blob ?? (await find())!, existed: false }
  } catch (error) {
    await giveUp(backend, upload).catch(() => undefined)
    // Nobody else knows of this object: what the store says of it is its own confusion.
    throw error instanceof ByteStoreError ? storeUnavailable(error) : error
  } finally {
    release?.()
  }
}

/** One part is on its way to the store while the next one comes in. */
function reserve({ budget }: Backend, { principal, sizeBytes, partSizeBytes }: SimpleUpload): Promise<() => void> {
  return budget.acquire(principal, Math.min(sizeBytes, 2 * partSizeBytes))
}

async function giveUp({ database, janitor }: Backend, upload: SimpleUpload): Promise<void> {
  await giveUpSimpleUpload(forkFor(database), upload.id)
  janitor.wake()
}

/** The new upload; undefined where the namespace has the blob. */
async function beginSimpleUpload(
  { simpleLane }: Backend,
  context: HandlerContext,
  blob: AnnouncedBlob,
): Promise<SimpleUpload | undefined> {
  const { principal } = accessOf(context).caller
  const partSizeBytes = partSizeOf(blob.sizeBytes)
  const upload = { ...blob, id: uuidv7(), principal, partSizeBytes, objectKey: newObjectKey() }
  return (await simpleLane.begin(upload)) ? upload : undefined
}

type FindBlob = () => Promise<KnownBlob | undefined>

/** The SHA-256 of every part; or the blob, where the namespace got it meanwhile. */
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
  throw new Error('there was no part')
}

/** While one part goes to the store, the next one comes in. */
async function storeManyParts(
  { database, bytes }: Backend,
  upload: SimpleUpload,
  parts: AsyncIterable<Part>,
  find: FindBlob,
): Promise<StoredParts> {
  const { id, objectKey: key, partSizeBytes } = upload
  const onDoubt = () => doubtBeginning(forkFor(database), key)
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
      await extendUpload(forkFor(database), id, EXPIRE_SECONDS)
    }
    await storing
  } finally {
    await storing?.catch(() => undefined)
  }
  await completeObject(bytes, upload, uploadId, stored, onDoubt)
  return { partSha256s: Buffer.concat(sha256s) }
}
