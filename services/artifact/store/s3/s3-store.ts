// Objects in a bucket of an S3 server, through the low-level calls of the `minio` client alone: its `putObject` joins
// unfinished uploads of the same key and buffers without bound.
import { Client } from 'minio'
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
import type { Part } from '../../domain/part.ts'
import type { S3Options } from './options.ts'
import { S3Objects } from './objects.ts'
import { S3Sender } from './sender.ts'
import { S3Presigner } from './presign.ts'
import { S3Puts } from './puts.ts'
import { listMarks, listObjects, listUploads } from './lists.ts'
import { hasCode, isInternal, mayRepeat, passGone, translateS3Fault } from './faults.ts'
import { SILENCE_MS, createTransport, pause, readBody } from './transport.ts'

const ATTEMPTS = 3

export class S3Store implements ByteStore {
  readonly presigner: S3Presigner
  readonly #client: Client
  readonly #bucket: string
  readonly #region: string
  readonly #silenceMs: number
  readonly #objects: S3Objects
  readonly #puts: S3Puts
  readonly #sender: S3Sender
  readonly #closeTransport: () => void

  constructor(options: S3Options) {
    const url = new URL(options.endpoint)
    const { transport, agent, close } = createTransport(url.protocol === 'https:', options.silenceMs)
    this.#client = new Client({
      endPoint: url.hostname,
      ...(url.port ? { port: Number(url.port) } : {}),
      useSSL: url.protocol === 'https:',
      region: options.region,
      accessKey: options.accessKey,
      secretKey: options.secretKey,
      transport,
      transportAgent: agent,
      retryOptions: { disableRetry: true },
    })
    // The store compares every body with this hash, with TLS too.
    this.#client.enableSHA256 = true
    this.#bucket = options.bucket
    this.#region = options.region
    this.#silenceMs = options.silenceMs ?? SILENCE_MS
    this.#closeTransport = close
    this.#sender = new S3Sender(this.#client, this.#bucket, this.#region, (work) => this.#call(work))
    this.#objects = new S3Objects(options, this.#silenceMs)
    this.#puts = new S3Puts(options, this.#silenceMs)
    this.presigner = new S3Presigner(options)
  }

  begin(key: string, onDoubt?: () => Promise<void>): Promise<string> {
    const attempt = () => this.#client.initiateNewMultipartUpload(this.#bucket, checkObjectKey(key), {})
    return this.#call(() =>
      attempt().catch(async (error: unknown) => {
        await onDoubt?.()
        throw error
      }),
    )
  }

  putPart({ key, uploadId, number }: PartPlace, part: Part): Promise<string> {
    const query = `partNumber=${number}&uploadId=${encodeURIComponent(uploadId)}`
    return this.#sender.send(checkObjectKey(key), part, query)
  }

  async complete(key: string, uploadId: string, parts: StoredPart[]): Promise<void> {
    const etags = parts.map(({ number, etag }) => ({ part: number, etag }))
    // Not repeated: what became of a failed attempt is looked up by the caller.
    await this.#client
      .completeMultipartUpload(this.#bucket, checkObjectKey(key), uploadId, etags)
      .catch(async (error: unknown) => {
        if (isInternal(error)) await this.#requireUpload(key, uploadId)
        translateS3Fault(error)
      })
  }

  async abort(key: string, uploadId: string | null): Promise<void> {
    checkObjectKey(key)
    const find = () => this.#call(() => this.#client.findUploadId(this.#bucket, key))
    const tried = new Set<string>()
    for (let id = uploadId ?? (await find()); id; id = await find()) {
      if (tried.has(id)) throw storeUnavailable(new Error('an upload is listed that was given up'))
      const found = id
      tried.add(found)
      await this.#call(() => this.#client.abortMultipartUpload(this.#bucket, key, found)).catch(passGone('upload gone'))
    }
  }

  async put(key: string, part: Part): Promise<void> {
    checkObjectKey(key)
    await this.#call(async () => (await this.#puts.send(key, part)) || this.#sender.sendOnce(key, part))
  }

  /** Goes on where a broken answer ended: an object never changes. */
  async *read(key: string, offset: number, length: number, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    const end = offset + length
    let attempt = 1
    for (let position = offset; position < end;) {
      try {
        for await (const bytes of this.#readOnce(key, position, end - position, signal)) {
          position += bytes.length
          attempt = 1
          yield bytes
        }
        return
      } catch (error) {
        signal?.throwIfAborted()
        if (attempt === ATTEMPTS || !mayRepeat(error)) translateS3Fault(error)
        await pause(attempt)
        attempt += 1
      }
    }
  }

  async stat(key: string): Promise<number | undefined> {
    try {
      const { size } = await this.#call(() => this.#client.statObject(this.#bucket, checkObjectKey(key)))
      return size
    } catch (error) {
      if (isByteStoreProblem(error, 'object gone')) return undefined
      throw error
    }
  }

  async remove(key: string): Promise<void> {
    await this.#call(() => this.#client.removeObject(this.#bucket, checkObjectKey(key))).catch(passGone('object gone'))
  }

  async mark(installation: string): Promise<void> {
    await this.#call(() => this.#makeBucket())
    await this.#sender.send(markOf(installation), textPart(`${installation}\n`))
  }

  listMarks(): Promise<string[]> {
    return listMarks(this.#client, this.#bucket, (work) => this.#call(work))
  }

  list(): AsyncIterable<ListedObject> {
    return listObjects(this.#client, this.#bucket, (work) => this.#call(work))
  }

  listUnfinished(): AsyncIterable<ListedUpload> {
    return listUploads(this.#client, this.#bucket, (work) => this.#call(work))
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
    this.#objects.close()
    this.#puts.close()
    this.#closeTransport()
  }

  /** Ceph's gateway fails to complete what it does not know, and calls it 404 or another when it is asked for it. */
  async #requireUpload(key: string, uploadId: string): Promise<void> {
    const query = `max-parts=1&uploadId=${encodeURIComponent(uploadId)}`
    const request = { method: 'GET', bucketName: this.#bucket, objectName: key, query }
    const answer = await this.#call(() => this.#client.makeRequestAsync(request)).catch((error: unknown) => {
      throw isByteStoreProblem(error, 'object gone') ? new ByteStoreError('upload gone', { cause: error }) : error
    })
    answer.resume()
  }

  async *#readOnce(key: string, offset: number, length: number, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    const place = { bucket: this.#bucket, key: checkObjectKey(key) }
    const blocks = await this.#objects.open(place, offset, length, signal)
    if (blocks) {
      yield* blocks
      return
    }
    const body = await this.#call(() =>
      this.#client.getPartialObject(this.#bucket, checkObjectKey(key), offset, length),
    )
    yield* readBody(body, this.#silenceMs, signal)
  }

  /** Repeats what a lost connection or an overtaxed server may have kept from happening. */
  async #call<T>(work: (attempt: number) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work(attempt)
      } catch (error) {
        if (attempt === ATTEMPTS || !mayRepeat(error)) translateS3Fault(error)
        await pause(attempt)
      }
    }
  }

  async #makeBucket(): Promise<void> {
    if (await this.#client.bucketExists(this.#bucket)) return
    await this.#client.makeBucket(this.#bucket, this.#region).catch((error: unknown) => {
      // Another replica was faster.
      if (!hasCode(error, ['BucketAlreadyOwnedByYou', 'BucketAlreadyExists'])) throw error
    })
  }
}
