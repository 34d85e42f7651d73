// The store of the bytes of blobs: an S3 server, or a directory for one process on one machine.
import { createHash, randomUUID } from 'node:crypto'
import { ModelkeepError } from '#lib/errors/errors.ts'
import { Part } from '../domain/part.ts'

/** All keys come from `newObjectKey`; nothing that a caller sent is ever part of one. */
export interface ByteStore {
  /** Begins an object that is written in parts. Returns the store's id of the unfinished object. `onDoubt` is awaited after
   * each failed attempt: it may still have begun the object, or may begin it later. */
  begin(key: string, onDoubt?: () => Promise<void>): Promise<string>
  /** Stores one part of an unfinished object, or replaces the one with the same number. Returns the ETag that `complete`
   * needs. Reads a part that is still arriving as it arrives; rejects with "digest differs" where its bytes have another
   * digest than the sender announced. */
  putPart(place: PartPlace, part: Part): Promise<string>
  /** Joins the parts into the object. Must not run twice at once for one key. */
  complete(key: string, uploadId: string, parts: StoredPart[]): Promise<void>
  /** Removes the parts of an unfinished object, if there are any; with null, those of every unfinished object of the key. */
  abort(key: string, uploadId: string | null): Promise<void>
  /** Stores an object that consists of one verified part. */
  put(key: string, part: Part): Promise<void>
  /** Reads `length` bytes from `offset`, which must lie inside the object; fewer where the object ends. */
  read(key: string, offset: number, length: number, signal?: AbortSignal): AsyncIterable<Uint8Array>
  /** The size of a whole object in bytes; undefined where there is none. */
  stat(key: string): Promise<number | undefined>
  /** Removes a whole object, if it is there. */
  remove(key: string): Promise<void>
  /** Records in the store that an installation uses it. Only this creates the root directory or the bucket. */
  mark(installation: string): Promise<void>
  /** The installations whose marks the store has. */
  listMarks(): Promise<string[]>
  /** Every whole object, in any order. */
  list(): AsyncIterable<ListedObject>
  /** The unfinished objects that the store lists, which may be fewer than there are. */
  listUnfinished(): AsyncIterable<ListedUpload>
  /** Rejects while the store cannot be used, or is another one, without the mark of the installation. */
  check(installation: string): Promise<void>
  close(): Promise<void>
  /** Present where clients can reach the store themselves. */
  presigner?: Presigner
}

/** Signs requests that a client sends to the store itself. Signing makes no network call. */
export interface Presigner {
  /** The store accepts only bytes of this length and hash. */
  putPart(part: PartToSign): SignedRequest
  /** Reads a whole object, or any range of it. */
  get(key: string): SignedRequest
}

export interface PartToSign {
  key: string
  uploadId: string
  /** The part number; the first part is 1. */
  number: number
  length: number
  sha256: Buffer
}

export interface SignedRequest {
  method: 'GET' | 'PUT'
  url: string
  /** The client must send them unchanged. */
  headers: Record<string, string>
  expireTime: Date
}

export interface ListedObject {
  key: string
  sizeBytes: number
  /** When it was written, by the store's clock. */
  modifyTime: Date
}

export interface ListedUpload {
  key: string
  uploadId: string
  /** When it was begun or last written, by the store's clock. */
  modifyTime: Date
}

export function textPart(text: string): Part {
  const bytes = Buffer.from(text)
  return new Part(bytes.length, createHash('sha256').update(bytes).digest(), [bytes])
}

/** Waits until the part is complete, and rejects with "digest differs" unless it has the announced digest. */
export async function verifyPart(part: Part): Promise<void> {
  if (part.isVerified) return
  const hash = createHash('sha256')
  for await (const { pieces } of part.read()) for (const piece of pieces) hash.update(piece)
  if (!hash.digest().equals(part.sha256)) throw new ByteStoreError('digest differs')
}

/** The place of a part in an unfinished object. */
export interface PartPlace {
  key: string
  uploadId: string
  /** The part number; the first part is 1. */
  number: number
  /** Position of its first byte in the object. */
  offset: number
}

export interface StoredPart {
  number: number
  length: number
  etag: string
}

/** A problem with the content of the store, as opposed to a store that is full or unavailable. */
export class ByteStoreError extends Error {
  override name = 'ByteStoreError'
  readonly problem: 'object gone' | 'upload gone' | 'part stale' | 'digest differs'

  constructor(problem: ByteStoreError['problem'], options?: ErrorOptions) {
    super(`store reports: ${problem}`, options)
    this.problem = problem
  }
}

export function isByteStoreProblem(error: unknown, problem: ByteStoreError['problem']): boolean {
  return error instanceof ByteStoreError && error.problem === problem
}

const KEY = /^objects\/[0-9a-f]{2}\/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function newObjectKey(): string {
  const id = randomUUID()
  return `objects/${id.slice(0, 2)}/${id}`
}

export function isObjectKey(key: string): boolean {
  return KEY.test(key)
}

export function checkObjectKey(key: string): string {
  if (!isObjectKey(key)) throw new Error('object key is invalid')
  return key
}

export function storeFull(cause: unknown): ModelkeepError {
  const message = 'store is full; nothing was stored'
  return new ModelkeepError('STORE_FULL', message, {}, [], { cause })
}

export function storeUnavailable(cause: unknown): ModelkeepError {
  const message = 'store unavailable; retry'
  return new ModelkeepError('DEPENDENCY_UNAVAILABLE', message, { dependency: 'store' }, [], { cause })
}

/** The cause of an error where a directory or bucket is there, but is not the store of this installation. */
export function notMarked(place: string, installation: string): Error {
  const mark = markOf(installation)
  return new Error(
    `${place} has no ${mark}, the mark of this installation; check whether another directory or bucket is in its place`,
  )
}

/** The prefix of the objects that mark a store, one for each installation that uses it. */
export const MARKS = 'modelkeep/owners/'
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** The key of the mark of an installation, which no object of a blob can have. */
export function markOf(installation: string): string {
  if (!UUID.test(installation)) throw new Error('installation id is invalid')
  return `${MARKS}${installation}`
}

/** The code of an error of Node or of S3; empty where it has none. */
export function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : ''
}
