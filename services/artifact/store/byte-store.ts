// Where bytes lie. Two kinds: an S3 server, and a directory for one process on one machine.
import { createHash, randomUUID } from 'node:crypto'
import { ModelkeepError } from '#lib/errors/errors.ts'
import { Part } from '../domain/part.ts'

/** Keys come from `newObjectKey` alone; nothing that a caller sent is ever part of one. */
export interface ByteStore {
  /** Begins an object that is written in parts. Returns the store's own name of the unfinished object. `onDoubt` is awaited
   * after each attempt that failed, and may have begun it all the same, now or later. */
  begin(key: string, onDoubt?: () => Promise<void>): Promise<string>
  /** Stores one part of an unfinished object, or replaces the one with the same number. Returns the ETag that `complete`
   * needs. Reads a part that is still arriving as it arrives; rejects with "digest differs" where its bytes have another
   * digest than the sender announced. */
  putPart(place: PartPlace, part: Part): Promise<string>
  /** Makes the object of its parts. Never to be called twice at once for one key. */
  complete(key: string, uploadId: string, parts: StoredPart[]): Promise<void>
  /** Removes the parts of an unfinished object, if there are any; without `uploadId`, of whatever was begun for the key. */
  abort(key: string, uploadId: string | null): Promise<void>
  /** Stores an object that consists of one verified part. */
  put(key: string, part: Part): Promise<void>
  /** `length` bytes from `offset`, which must lie inside the object. Ends early where the object does. */
  read(key: string, offset: number, length: number, signal?: AbortSignal): AsyncIterable<Uint8Array>
  /** The size of a whole object; undefined where there is none. */
  stat(key: string): Promise<number | undefined>
  /** Removes a whole object, if it is there. */
  remove(key: string): Promise<void>
  /** Notes in the store that an installation uses it. Nothing else makes the root directory or the bucket. */
  mark(installation: string): Promise<void>
  /** The installations that have noted it. */
  listMarks(): Promise<string[]>
  /** Every whole object, in no order that counts. */
  list(): AsyncIterable<ListedObject>
  /** Every unfinished object that the store tells of, which may be less than there are. */
  listUnfinished(): AsyncIterable<ListedUpload>
  /** Rejects while the store cannot be used, or is another one: the mark of the installation is not there. */
  check(installation: string): Promise<void>
  close(): Promise<void>
  /** Where clients can use the store by themselves. */
  presigner?: Presigner
}

/** Makes requests that a client may send to the store, without a call over the network. */
export interface Presigner {
  /** The store takes no other bytes from it than those of this length and hash. */
  putPart(part: PartToSign): SignedRequest
  /** Of a whole object, or any range of it. */
  get(key: string): SignedRequest
}

export interface PartToSign {
  key: string
  uploadId: string
  /** From 1. */
  number: number
  length: number
  sha256: Buffer
}

export interface SignedRequest {
  method: 'GET' | 'PUT'
  url: string
  /** To be sent as they are. */
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
  /** From 1. */
  number: number
  /** Position of its first byte in the object. */
  offset: number
}

export interface StoredPart {
  number: number
  length: number
  etag: string
}

/** What a store says of its content, other than that it is full or out of reach. */
export class ByteStoreError extends Error {
  override name = 'ByteStoreError'
  readonly problem: 'object gone' | 'upload gone' | 'part stale' | 'digest differs'

  constructor(problem: ByteStoreError['problem'], options?: ErrorOptions) {
    super(`the store says: ${problem}`, options)
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
  if (!isObjectKey(key)) throw new Error('not a key of this store')
  return key
}

export function storeFull(cause: unknown): ModelkeepError {
  const message = 'the store has no room for these bytes; nothing was stored'
  return new ModelkeepError('STORE_FULL', message, {}, [], { cause })
}

export function storeUnavailable(cause: unknown): ModelkeepError {
  const message = 'the store is not available; try again'
  return new ModelkeepError('DEPENDENCY_UNAVAILABLE', message, { dependency: 'store' }, [], { cause })
}

/** The cause where a place answers, but is not the store. */
export function notMarked(place: string, installation: string): Error {
  const mark = markOf(installation)
  return new Error(
    `${place} has no ${mark}, the mark of this installation: is another directory or bucket in its place?`,
  )
}

/** Below it each installation that uses a store has an object. */
export const MARKS = 'modelkeep/owners/'
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Where an installation marks its store: no key of an object. */
export function markOf(installation: string): string {
  if (!UUID.test(installation)) throw new Error('not an installation')
  return `${MARKS}${installation}`
}

/** Of an error of Node or of S3; empty where it has none. */
export function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : ''
}
