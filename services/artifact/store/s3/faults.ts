// An S3 server's refusals as the store's own.
import { ModelkeepError } from '#lib/errors/errors.ts'
import { ByteStoreError, codeOf, isByteStoreProblem, storeFull, storeUnavailable } from '../byte-store.ts'

const FULL = [
  'XMinioStorageFull',
  'XMinioStorageQuotaExceeded',
  'QuotaExceeded',
  'InsufficientStorage',
  'InsufficientCapacity',
]
/** InvalidRange: the object is there, but shorter than it was. */
const OBJECT_GONE = ['NoSuchKey', 'NotFound', 'InvalidRange']
const UPLOAD_GONE = ['NoSuchUpload']
const PART_STALE = ['InvalidPart', 'InvalidPartOrder']
const DIGEST_DIFFERS = ['XAmzContentSHA256Mismatch']
const LOST_CONNECTION = ['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN']
const OVERTAXED = ['SlowDown', 'SlowDownRead', 'SlowDownWrite', 'InternalError', 'ServiceUnavailable', 'RequestTimeout']

export function translateS3Fault(error: unknown): never {
  if (error instanceof ByteStoreError || error instanceof ModelkeepError) throw error
  if (hasCode(error, FULL)) throw storeFull(error)
  if (hasCode(error, UPLOAD_GONE)) throw new ByteStoreError('upload gone', { cause: error })
  if (hasCode(error, PART_STALE)) throw new ByteStoreError('part stale', { cause: error })
  if (hasCode(error, DIGEST_DIFFERS)) throw new ByteStoreError('digest differs', { cause: error })
  if (hasCode(error, OBJECT_GONE)) throw new ByteStoreError('object gone', { cause: error })
  throw storeUnavailable(error)
}

/** Whether the same request may succeed at once. The client tells retryable HTTP statuses by a message alone. */
export function mayRepeat(error: unknown): boolean {
  const lost = LOST_CONNECTION.includes(codeOf(error)) || OVERTAXED.includes(codeOf(error))
  return lost || (error instanceof Error && /Retryable HTTP status|socket hang up/.test(error.message))
}

/** Whether the server failed at it, and may have come to any point. */
export function isInternal(error: unknown): boolean {
  return codeOf(error) === 'InternalError' || (error instanceof Error && /HTTP status: 500/.test(error.message))
}

export function hasCode(error: unknown, codes: string[]): boolean {
  return codes.includes(codeOf(error))
}

export function passGone(problem: 'object gone' | 'upload gone'): (error: unknown) => void {
  return (error) => {
    if (!isByteStoreProblem(error, problem)) throw error
  }
}
