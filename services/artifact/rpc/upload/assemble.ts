// Creating the object of an upload from its parts, and reading back the bytes that were not hashed when they arrived.
import { createHash } from 'node:crypto'
import { forkFor } from '#lib/store/database.ts'
import type { Prefix } from '../../domain/running-digest.ts'
import { textPart, type ByteStore, type StoredPart } from '../../store/byte-store.ts'
import { scheduleAbort } from '../../store/garbage/pending-deletion.ts'
import type { Upload, UploadPart } from '../../store/uploads/upload.ts'
import type { Backend } from '../../deps.ts'

const EMPTY = textPart('')

/** Creates the object. `isRetry`: an earlier owner of the upload may have created it already. */
export async function assembleObject(
  { bytes, database }: Pick<Backend, 'bytes' | 'database'>,
  upload: Upload,
  parts: UploadPart[],
  isRetry: boolean,
): Promise<void> {
  const { objectKey, sizeBytes, storeUploadId } = upload
  const onDoubt = () => scheduleAbort(forkFor(database), objectKey)
  if (isRetry && (await bytes.stat(objectKey)) === sizeBytes) return abortOthers(bytes, objectKey, onDoubt)
  if (parts.length === 0) return bytes.put(objectKey, EMPTY)
  const stored = parts.map(({ number, sizeBytes: length, etag }) => ({ number, length, etag }))
  await completeObject(bytes, upload, storeUploadId!, stored, onDoubt)
}

export async function completeObject(
  bytes: ByteStore,
  { objectKey, sizeBytes }: Pick<Upload, 'objectKey' | 'sizeBytes'>,
  storeUploadId: string,
  parts: StoredPart[],
  onDoubt: () => Promise<void>,
): Promise<void> {
  try {
    await bytes.complete(objectKey, storeUploadId, parts)
  } catch (error) {
    // The store may have completed the object, and only its answer was lost.
    if ((await bytes.stat(objectKey)) !== sizeBytes) throw error
  }
  await abortOthers(bytes, objectKey, onDoubt)
}

/** Aborts other unfinished uploads of the same key. They exist if an answer of the store to `begin` was lost. */
async function abortOthers(bytes: ByteStore, objectKey: string, onDoubt: () => Promise<void>): Promise<void> {
  await bytes.abort(objectKey, null).catch(onDoubt)
}

export interface Hashed {
  digest: string
  partSha256s: Buffer
  /** Number of the first part that was read back with another digest than was recorded. */
  badPart?: number
}

/** Computes the digest of the whole and the SHA-256 of each part. The parts in `prefix` were hashed when they arrived; the
 * others, at least one, are read back from the store. */
export async function hashObject(
  bytes: ByteStore,
  upload: Upload,
  parts: UploadPart[],
  prefix: Prefix,
  signal: AbortSignal,
): Promise<Hashed> {
  const { objectKey, sizeBytes, partSizeBytes } = upload
  const sha256s = [...prefix.sha256s]
  const offset = sha256s.length * partSizeBytes
  let part = createHash('sha256')
  let inPart = 0
  const endPart = (): void => {
    sha256s.push(part.digest())
    part = createHash('sha256')
    inPart = 0
  }
  for await (const read of bytes.read(objectKey, offset, sizeBytes - offset, signal)) {
    prefix.hash.update(read)
    for (let rest = read; rest.length > 0;) {
      if (inPart === partSizeBytes) endPart()
      const piece = rest.subarray(0, partSizeBytes - inPart)
      part.update(piece)
      inPart += piece.length
      rest = rest.subarray(piece.length)
    }
  }
  endPart()
  const bad = parts.findIndex(({ sha256 }, index) => !sha256s[index]?.equals(sha256))
  const digest = `sha256:${prefix.hash.digest('hex')}`
  return { digest, partSha256s: Buffer.concat(sha256s), ...(bad < 0 ? {} : { badPart: bad + 1 }) }
}
