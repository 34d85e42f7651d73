// Making an object of an upload's parts, and reading back what became of them.
import { createHash } from 'node:crypto'
import type { Bytes, ByteStore, StoredPart } from '../store/byte-store.ts'
import type { Upload, UploadPart } from '../store/upload.ts'

const NOTHING: Bytes = { chunks: [], length: 0, sha256: createHash('sha256').digest() }

/** May be called again after it was interrupted anywhere. */
export async function assembleObject(bytes: ByteStore, upload: Upload, parts: UploadPart[]): Promise<void> {
  if ((await bytes.stat(upload.objectKey)) === upload.sizeBytes) return giveUpOthers(bytes, upload.objectKey)
  if (parts.length === 0) return bytes.put(upload.objectKey, NOTHING)
  const stored = parts.map(({ number, sizeBytes: length, etag }) => ({ number, length, etag }))
  await completeObject(bytes, upload, upload.storeUploadId!, stored)
}

export async function completeObject(
  bytes: ByteStore,
  { objectKey, sizeBytes }: Pick<Upload, 'objectKey' | 'sizeBytes'>,
  storeUploadId: string,
  parts: StoredPart[],
): Promise<void> {
  try {
    await bytes.complete(objectKey, storeUploadId, parts)
  } catch (error) {
    // The store may have done it and only the answer was lost.
    if ((await bytes.stat(objectKey)) !== sizeBytes) throw error
  }
  await giveUpOthers(bytes, objectKey)
}

/** Where the answer to a beginning was lost, the object was begun twice. What nobody completed is needed no more. */
async function giveUpOthers(bytes: ByteStore, objectKey: string): Promise<void> {
  await bytes.abort(objectKey, null).catch(() => undefined)
}

/** The digest of the whole and the SHA-256 of each part, as the store gives the bytes back. */
export async function hashObject(
  bytes: ByteStore,
  { objectKey, sizeBytes, partSizeBytes }: Upload,
  signal: AbortSignal,
): Promise<{ digest: string; partSha256s: Buffer }> {
  const whole = createHash('sha256')
  const partSha256s: Buffer[] = []
  let part = createHash('sha256')
  let inPart = 0
  for await (const read of bytes.read(objectKey, 0, sizeBytes, signal)) {
    whole.update(read)
    for (let rest = read; rest.length > 0;) {
      if (inPart === partSizeBytes) {
        partSha256s.push(part.digest())
        part = createHash('sha256')
        inPart = 0
      }
      const piece = rest.subarray(0, partSizeBytes - inPart)
      part.update(piece)
      inPart += piece.length
      rest = rest.subarray(piece.length)
    }
  }
  partSha256s.push(part.digest())
  return { digest: `sha256:${whole.digest('hex')}`, partSha256s: Buffer.concat(partSha256s) }
}
