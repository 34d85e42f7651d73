// Making an object of an upload's parts, and reading back what was not hashed on its way in.
import { createHash } from 'node:crypto'
import { forkFor } from '#lib/store/database.ts'
import type { Prefix } from '../../domain/running-digest.ts'
import { textPart, type ByteStore, type StoredPart } from '../../store/byte-store.ts'
import { doubtBeginning } from '../../store/garbage/doomed-object.ts'
import type { Upload, UploadPart } from '../../store/uploads/upload.ts'
import type { Backend } from '../../deps.ts'

const NOTHING = textPart('')

/** `again`: an earlier owner may have asked the store already. */
export async function assembleObject(
  { bytes, database }: Pick<Backend, 'bytes' | 'database'>,
  upload: Upload,
  parts: UploadPart[],
  again: boolean,
): Promise<void> {
  const { objectKey, sizeBytes, storeUploadId } = upload
  const onDoubt = () => doubtBeginning(forkFor(database), objectKey)
  if (again && (await bytes.stat(objectKey)) === sizeBytes) return giveUpOthers(bytes, objectKey, onDoubt)
  if (parts.length === 0) return bytes.put(objectKey, NOTHING)
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
    // The store may have done it and only the answer was lost.
    if ((await bytes.stat(objectKey)) !== sizeBytes) throw error
  }
  await giveUpOthers(bytes, objectKey, onDoubt)
}

/** Where the answer to a beginning was lost, the object was begun twice. What nobody completed is needed no more. */
async function giveUpOthers(bytes: ByteStore, objectKey: string, onDoubt: () => Promise<void>): Promise<void> {
  await bytes.abort(objectKey, null).catch(onDoubt)
}

export interface Hashed {
  digest: string
  partSha256s: Buffer
  /** The first part that was read back with other bytes than were recorded. */
  badPart?: number
}

/** The digest of the whole and the SHA-256 of each part: of those in `prefix` as they came in, of the others as the store
 * gives them back. There must be others. */
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
