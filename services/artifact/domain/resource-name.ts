// Resource names of blobs in google.bytestream, in the form of Bazel's Remote Execution API. The instance is the namespace.
import { createHash } from 'node:crypto'
import { failField } from '#lib/errors/errors.ts'
import { parseBlobSize } from './blob.ts'
import { parseNamespace } from './namespace.ts'

export interface NamedBlob {
  namespace: string
  digest: string
  sizeBytes: number
}

const FIELD = 'resource_name'
const HASH = /^[0-9a-f]{64}$/
const EMPTY = createHash('sha256').digest('hex')
const SIZE = /^(0|[1-9]\d{0,15})$/

/** `[{namespace}/]blobs/{hash}/{size}` */
export function parseBlobName(name: string): NamedBlob {
  const segments = name.split('/')
  const at = segments.length - 3
  if (at === 0 && segments[0] === 'blobs') return parseBlob('', segments.slice(1))
  if (at === 1 && segments[1] === 'blobs') return parseBlob(segments[0]!, segments.slice(2))
  return failName(segments, '[{namespace}/]blobs/{hash}/{size}')
}

/** `[{namespace}/]uploads/{uuid}/blobs/{hash}/{size}[/…]`. The UUID and the rest are ignored: the blob and the caller
 * identify an upload. */
export function parseUploadName(name: string): NamedBlob {
  const segments = name.split('/')
  if (isUpload(segments)) return parseBlob('', segments.slice(3))
  if (isUpload(segments.slice(1))) return parseBlob(segments[0]!, segments.slice(4))
  return failName(segments, '[{namespace}/]uploads/{uuid}/blobs/{hash}/{size}')
}

function isUpload([uploads, uuid = '', blobs, hash, size]: string[]): boolean {
  return uploads === 'uploads' && uuid !== '' && blobs === 'blobs' && hash !== undefined && size !== undefined
}

function parseBlob(instance: string, [hash = '', size = '']: string[]): NamedBlob {
  if (!HASH.test(hash)) failField(FIELD, 'must have the SHA-256 of the blob after "blobs", 64 lower-case hex digits')
  if (!SIZE.test(size)) failField(FIELD, 'must have the size of the blob in bytes after its SHA-256')
  const sizeBytes = parseBlobSize(BigInt(size), FIELD)
  return { namespace: parseNamespace(instance, FIELD), digest: `sha256:${hash}`, sizeBytes }
}

/** The blob without bytes exists in every namespace without an upload. */
export function isEmptyBlob({ digest, sizeBytes }: NamedBlob): boolean {
  return sizeBytes === 0 && digest === `sha256:${EMPTY}`
}

function failName(segments: string[], form: string): never {
  if (segments.includes('compressed-blobs')) failField(FIELD, `must be ${form}: compressed blobs are not supported`)
  failField(FIELD, `must be ${form}`)
}
