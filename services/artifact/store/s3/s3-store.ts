// Objects in a bucket of an S3 server: bytes over our own connections, everything else through the low-level calls of the
// `minio` client. Its `putObject` joins unfinished uploads of the same key and buffers without bound.
import type { Client } from 'minio'
import {
  ByteStoreError,
  checkObjectKey,
  isByteStoreProblem,
  markOf,
  notMarked,
  storeUnavailable,
  textPart,
  type ByteStore,
  type ListedObject,
  type ListedUpload,
  type PartPlace,
  type StoredPart,
} from '../byte-store.ts'
import { createControlClient } from './control-client.ts'
import { hasCode, ignoreGone, isInternal, translateS3Fault } from './faults.ts'
import type { Part } from '../../domain/part.ts'
import { listMarks, listObjects, listUploads } from './lists.ts'
import type { S3Options } from './options.ts'
import { S3Presigner } from './presign.ts'
import { waitForRetry, retry } from './retry.ts'
import { S3Sender } from './sender.ts'
import { S3Transfers } from './transfers.ts'

/** How long the server may be silent while an answer is due. */
const SILENCE_MS = 60_000

export class S3Store implements ByteStore {
  readonly presigner: S3Presigner
  readonly #client: Client
  readonly #bucket: string
  readonly #region: string
  readonly #transfers: S3Transfers
  readonly #sender: S3Sender
  readonly #closeClient: () => void

  constructor(options: S3Options) {
    const silenceMs = options.silenceMs ?? SILENCE_MS
    const { client, close } = createControlClient(options, silenceMs)
    this.#client = client
    this.#closeClient = close
    this.#bucket = options.bucket
    this.#region = options.region
    this.#transfers = new S3Transfers(options, silenceMs)
    this.#sender = new S3Sender(this.#transfers)
    this.presigner = new S3Presigner(options)
  }

  begin(key: string, onDoubt?: () => Promise<void>): Promise<string> {
    const attempt = () => this.#client.initiateNewMultipartUpload(this.#bucket, checkObjectKey(key), {})
    return retry(() =>
      attempt().catch(async (error: unknown) => {
        await onDoubt?.()
        throw error
      }),
    )
  }

  putPart({ key, uploadId, number }: PartPlace, part: Part): Promise<string> {
    return this.#sender.send(checkObjectKey(key), part, { partNumber: String(number), uploadId })
  }

  async complete(key: string, uploadId: string, parts: StoredPart[]): Promise<void> {
    const etags = parts.map(({ number, etag }) => ({ part: number, etag }))
    // The call is not retried: a failed attempt may have succeeded in the store, which the caller checks.
    await this.#client
      .completeMultipartUpload(this.#bucket, checkObjectKey(key), uploadId, etags)
      .catch(async (error: unknown) => {
        if (isInternal(error)) await this.#requireUpload(key, uploadId)
        translateS3Fault(error)
      })
  }

  async abort(key: string, uploadId: string | null): Promise<void> {
    checkObjectKey(key)
    const find = () => retry(() => this.#client.findUploadId(this.#bucket, key))
    const tried = new Set<string>()
    for (let id = uploadId ?? (await find()); id; id = await find()) {
      if (tried.has(id)) throw storeUnavailable(new Error('upload is still listed after it was aborted'))
      const found = id
      tried.add(found)
      await retry(() => this.#client.abortMultipartUpload(this.#bucket, key, found)).catch(ignoreGone('upload gone'))
    }
  }

  async put(key: string, part: Part): Promise<void> {
    checkObjectKey(key)
    await retry(() => this.#transfers.put(key, part))
  }

  /** Resumes where a broken answer ended: an object never changes. */
  async *read(key: string, offset: number, length: number, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    checkObjectKey(key)
    const end = offset + length
    let attempt = 1
    for (let position = offset; position < end;) {
      try {
        for await (const bytes of await this.#transfers.get(key, position, end - position, signal)) {
          position += bytes.length
          attempt = 1
          yield bytes
        }
        return
      } catch (error) {
        signal?.throwIfAborted()
        await waitForRetry(error, attempt)
        attempt += 1
      }
    }
  }

  async stat(key: string): Promise<number | undefined> {
    try {
      const { size } = await retry(() => this.#client.statObject(this.#bucket, checkObjectKey(key)))
      return size
    } catch (error) {
      if (isByteStoreProblem(error, 'object gone')) return undefined
      throw error
    }
  }

  async remove(key: string): Promise<void> {
    await retry(() => this.#client.removeObject(this.#bucket, checkObjectKey(key))).catch(ignoreGone('object gone'))
  }

  async mark(installation: string): Promise<void> {
    await retry(() => this.#makeBucket())
    await this.#sender.send(markOf(installation), textPart(`${installation}\n`))
  }

  listMarks(): Promise<string[]> {
    return listMarks(this.#client, this.#bucket)
  }

  list(): AsyncIterable<ListedObject> {
    return listObjects(this.#client, this.#bucket)
  }

  listUnfinished(): AsyncIterable<ListedUpload> {
    return listUploads(this.#client, this.#bucket)
  }

  async check(installation: string): Promise<void> {
    try {
      await this.#client.statObject(this.#bucket, markOf(installation)).catch(translateS3Fault)
    } catch (error) {
      if (!isByteStoreProblem(error, 'object gone')) throw error
      throw storeUnavailable(notMarked(`the bucket ${this.#bucket}`, installation))
    }
  }

  async close(): Promise<void> {
    this.#transfers.close()
    this.#closeClient()
  }

  /** Ceph's gateway answers 500 when it completes an unknown upload, and 404 when it lists the parts of one. */
  async #requireUpload(key: string, uploadId: string): Promise<void> {
    const query = `max-parts=1&uploadId=${encodeURIComponent(uploadId)}`
    const request = { method: 'GET', bucketName: this.#bucket, objectName: key, query }
    const answer = await retry(() => this.#client.makeRequestAsync(request)).catch((error: unknown) => {
      throw isByteStoreProblem(error, 'object gone') ? new ByteStoreError('upload gone', { cause: error }) : error
    })
    answer.resume()
  }

  async #makeBucket(): Promise<void> {
    if (await this.#client.bucketExists(this.#bucket)) return
    await this.#client.makeBucket(this.#bucket, this.#region).catch((error: unknown) => {
      // Another replica has made it.
      if (!hasCode(error, ['BucketAlreadyOwnedByYou', 'BucketAlreadyExists'])) throw error
    })
  }
}
