// Errors of the S3 server and of the connection to it, as errors of the store.
import { ModelkeepError } from '#lib/errors/errors.ts'
import { ByteStoreError, codeOf, isByteStoreProblem, storeFull, storeUnavailable } from '../byte-store.ts'

const FULL = [
  'XMinioStorageFull',
  'XMinioStorageQuotaExceeded',
  'QuotaExceeded',
  'InsufficientStorage',
  'InsufficientCapacity',
]
/** InvalidRange: the object has become shorter than it was. */
const OBJECT_GONE = ['NoSuchKey', 'NotFound', 'InvalidRange']
const UPLOAD_GONE = ['NoSuchUpload']
const PART_STALE = ['InvalidPart', 'InvalidPartOrder']
const DIGEST_DIFFERS = ['XAmzContentSHA256Mismatch']
/** Node's codes, and our own for an answer that belongs to another request. */
const LOST_CONNECTION = [
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UnexpectedAnswer',
]
const OVERLOADED = [
  'SlowDown',
  'SlowDownRead',
  'SlowDownWrite',
  'InternalError',
  'ServiceUnavailable',
  'RequestTimeout',
]
/** Statuses under 500 that a proxy gives while it is overloaded. */
const OVERLOADED_STATUSES = [408, 429, 499]

/** Throws the error as the store's own: ByteStoreError, STORE_FULL or DEPENDENCY_UNAVAILABLE. */
export function translateS3Fault(error: unknown): never {
  if (error instanceof ByteStoreError || error instanceof ModelkeepError) throw error
  if (hasCode(error, FULL)) throw storeFull(error)
  if (hasCode(error, UPLOAD_GONE)) throw new ByteStoreError('upload gone', { cause: error })
  if (hasCode(error, PART_STALE)) throw new ByteStoreError('part stale', { cause: error })
  if (hasCode(error, DIGEST_DIFFERS)) throw new ByteStoreError('digest differs', { cause: error })
  if (hasCode(error, OBJECT_GONE)) throw new ByteStoreError('object gone', { cause: error })
  throw storeUnavailable(error)
}

/** Whether the same request may succeed if it is sent again. The `minio` client names retryable statuses in the text only. */
export function isRetryable(error: unknown): boolean {
  const isTransient = isLost(error) || hasCode(error, OVERLOADED)
  return isTransient || (error instanceof Error && /Retryable HTTP status|socket hang up/.test(error.message))
}

export function isLost(error: unknown): boolean {
  return hasCode(error, LOST_CONNECTION)
}

/** Whether the server failed at an unknown point of the request. */
export function isInternal(error: unknown): boolean {
  return codeOf(error) === 'InternalError' || (error instanceof Error && /HTTP status: 500/.test(error.message))
}

export function hasCode(error: unknown, codes: string[]): boolean {
  return codes.includes(codeOf(error))
}

/** Handles a rejection: an object or upload that is gone already counts as removed. */
export function ignoreGone(problem: 'object gone' | 'upload gone'): (error: unknown) => void {
  return (error) => {
    if (!isByteStoreProblem(error, problem)) throw error
  }
}

export function connectionLost(): Error {
  return Object.assign(new Error('connection to the store lost'), { code: 'ECONNRESET' })
}

export function storeTimeout(): Error {
  return Object.assign(new Error('store timed out'), { code: 'ETIMEDOUT' })
}

/** An answer that promises other bytes than were requested. */
export function unexpectedResponse(status: number): Error {
  const message = `store answered ${status} with an unexpected length or range`
  return Object.assign(new Error(message), { code: 'UnexpectedAnswer' })
}

/** The refusal that an answer's status and XML body describe. */
export function errorOfResponse(status: number, body: string): Error {
  const [, code = codeOfStatus(status)] = /<Code>(\w{1,64})<\/Code>/.exec(body) ?? []
  return Object.assign(new Error(`store answered ${status} ${code ?? ''}`.trim()), code && { code })
}

function codeOfStatus(status: number): string | undefined {
  if (OVERLOADED_STATUSES.includes(status)) return 'SlowDown'
  return status >= 500 ? 'InternalError' : undefined
}
