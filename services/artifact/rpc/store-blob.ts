// The simple lane: one blob from one source of bytes, verified before it exists, and nothing left if that fails.
import type { HandlerContext } from '@connectrpc/connect'
import { accessOf } from '#lib/caller.ts'
import { fail } from '#lib/errors.ts'
import { forkFor, inTransaction } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { partSizeOf } from '../domain/blob.ts'
import { addBlob, type BlobInit, type KnownBlob } from '../store/blob.ts'
import { ByteStoreError, newObjectKey, storeUnavailable, type Bytes, type StoredPart } from '../store/byte-store.ts'
import { blobResource } from '../store/events.ts'
import { tellHolders } from '../store/quarantine.ts'
import { finishSimpleUpload, giveUpSimpleUpload } from '../store/simple-upload.ts'
import { extendUpload, insertUpload, setStoreUpload } from '../store/upload-state.ts'
import { completeObject } from './assemble.ts'
import type { Backend } from './backend.ts'
import { byCaller, keepBlob } from './keep-blobs.ts'

export interface AnnouncedBlob {
  namespace: string
  digest: string
  sizeBytes: number
}

/** How long a part may take before what was stored counts as left behind. */
const EXPIRE_SECONDS = 3600

interface SimpleUpload {
  id: string
  objectKey: string
  sizeBytes: number
  partSizeBytes: number
}

export interface Stored {
  blob: KnownBlob
  /** The namespace got it before all parts were there. */
  existed: boolean
}

/** `parts`: all bytes in parts of `partSizeOf` the size; it throws before the last one unless the whole has the announced
 * size and digest. */
export async function storeBlob(
  backend: Backend,
  context: HandlerContext,
  blob: AnnouncedBlob,
  parts: AsyncIterable<Bytes>,
): Promise<Stored> {
  const { database, relay } = backend
  const upload = await beginSimpleUpload(backend, context, blob)
  const find = () => keepBlob(backend, context, blob.namespace, blob.digest)
  try {
    const { known, partSha256s } = await storeParts(backend, upload, parts, find)
    if (known) {
      await giveUp(backend, upload)
      return { blob: known, existed: true }
    }
    await inTransaction(database, context.signal, async (em) => {
      if (!(await finishSimpleUpload(em, upload.id))) {
        fail('UPLOAD_CLOSED', 'the upload took too long', { upload: upload.id, state: 'EXPIRED' })
      }
      await commitBlob(em, context, { ...blob, ...upload, partSha256s })
    })
  } catch (error) {
    await giveUp(backend, upload).catch(() => undefined)
    // Nobody else knows of this object: what the store says of it is its own confusion.
    throw error instanceof ByteStoreError ? storeUnavailable(error) : error
  }
  relay.wake()
  return { blob: (await find())!, existed: false }
}

async function giveUp({ database, janitor }: Backend, upload: SimpleUpload): Promise<void> {
  await giveUpSimpleUpload(forkFor(database), upload.id)
  janitor.wake()
}

/** Makes verified bytes the blob of a namespace, with the event of it. */
export async function commitBlob(em: EntityManager, context: HandlerContext, blob: BlobInit): Promise<void> {
  const { namespace, digest, sizeBytes } = blob
  const { isNew, isRepaired } = await addBlob(em, byCaller(context), blob)
  if (isRepaired) await tellHolders(em, digest, 'blob.repaired.v1')
  if (!isNew) return
  emit(em, context, {
    type: 'blob.committed.v1',
    resource: blobResource(namespace, digest),
    afterDigest: digest,
    details: { sizeBytes: String(sizeBytes) },
  })
}

async function beginSimpleUpload(
  { database }: Backend,
  context: HandlerContext,
  blob: AnnouncedBlob,
): Promise<SimpleUpload> {
  const upload = { sizeBytes: blob.sizeBytes, partSizeBytes: partSizeOf(blob.sizeBytes), objectKey: newObjectKey() }
  // Not cancelled with the call: it would be unknown whether the row is there.
  const id = await insertUpload(forkFor(database), {
    ...blob,
    ...upload,
    principal: accessOf(context).caller.principal,
    resumable: false,
    expireSeconds: EXPIRE_SECONDS,
  })
  return { id, ...upload }
}

type FindBlob = () => Promise<KnownBlob | undefined>

/** The SHA-256 of every part; or the blob, where the namespace got it meanwhile. */
type StoredParts = { known: KnownBlob; partSha256s?: undefined } | { known?: undefined; partSha256s: Buffer }

async function storeParts(
  backend: Backend,
  upload: SimpleUpload,
  parts: AsyncIterable<Bytes>,
  find: FindBlob,
): Promise<StoredParts> {
  if (upload.sizeBytes > upload.partSizeBytes) return storeManyParts(backend, upload, parts, find)
  for await (const part of parts) {
    await backend.bytes.put(upload.objectKey, part)
    return { partSha256s: part.sha256 }
  }
  throw new Error('there was no part')
}

/** While one part goes to the store, the next one comes in. */
async function storeManyParts(
  { database, bytes }: Backend,
  upload: SimpleUpload,
  parts: AsyncIterable<Bytes>,
  find: FindBlob,
): Promise<StoredParts> {
  const { id, objectKey: key, partSizeBytes } = upload
  const uploadId = await bytes.begin(key)
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
      storing = bytes.putPart({ ...part, key, uploadId, number, offset }).then((etag) => {
        stored.push({ number, length, etag })
      })
      storing.catch(() => undefined)
      await extendUpload(forkFor(database), id, EXPIRE_SECONDS)
    }
    await storing
  } finally {
    await storing?.catch(() => undefined)
  }
  await completeObject(bytes, upload, uploadId, stored)
  return { partSha256s: Buffer.concat(sha256s) }
}
