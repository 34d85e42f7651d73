// The compared clients: each uploads or downloads one blob of incompressible bytes.
import { createClient } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { createHash } from 'node:crypto'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { fromField } from '#lib/byte-streams/chunk.ts'
import { createZeroCopyTransport } from '#lib/byte-streams/transport.ts'
import { WideSessionManager } from '../../clients/cli/connection/sessions.ts'
import { BYTE_METHODS } from '../../services/artifact/rpc/routes.ts'
import { stockClient, stockMetadata, type StockClient } from '../support/raw-grpc.ts'
import { TOKEN, type World } from './artifact-world.ts'

export const MIB = 1024 * 1024
export const PART_BYTES = 16 * MIB
const CHUNK_BYTES = MIB - 64
export const PARALLEL = 4
const WINDOW_BYTES = 8 * MIB

export interface Blob {
  bytes: Buffer
  /** Replaces the first bytes, because `bytes` are shared. */
  head?: Buffer
  digest: string
}

export interface BlobClient {
  upload(blob: Blob): Promise<void>
  download(blob: Blob): Promise<void>
  close(): void
}

export interface ConnectBlobClient extends BlobClient {
  uploadInOneStream(blob: Blob): Promise<void>
  /** The id of an upload. */
  startParts(blob: Blob): Promise<string>
  writePart(upload: string, blob: Blob, number: number): Promise<void>
  /** The numbers of the parts that have arrived. */
  partsOf(upload: string): Promise<number[]>
  completeParts(upload: string): Promise<void>
}

let stamp = Date.now()

/** Returns the same bytes with other first bytes, so that they are new to the store. */
export function renew(bytes: Buffer): Blob {
  bytes.writeBigUInt64BE(BigInt((stamp += 1)))
  return { bytes, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` }
}

export function countParts(bytes: Buffer): number {
  return Math.ceil(bytes.length / PART_BYTES)
}

export function partAt(bytes: Buffer, number: number): Buffer {
  return bytes.subarray((number - 1) * PART_BYTES, number * PART_BYTES)
}

/** Sends the low-level calls of the `minio` SDK directly to the store. */
export function directClient({ minio, bucket }: World): BlobClient {
  const keyOf = ({ digest }: Blob): string => `direct/${digest.slice(7)}`
  return {
    async upload(blob) {
      const key = keyOf(blob)
      const uploadID = await minio.initiateNewMultipartUpload(bucket, key, {})
      const etags = await inParallel(countParts(blob.bytes), async (partNumber) => {
        const place = { bucketName: bucket, objectName: key, uploadID, partNumber, headers: {} }
        const { etag } = await minio.uploadPart(place, partAt(blob.bytes, partNumber))
        return { part: partNumber, etag }
      })
      await minio.completeMultipartUpload(bucket, key, uploadID, etags)
    },
    async download(blob) {
      let length = 0
      const stream = await minio.getObject(bucket, keyOf(blob))
      for await (const chunk of stream) length += (chunk as Buffer).length
      check(length, blob)
    },
    close: () => {},
  }
}

/** The client of stock grpc-js. */
export function grpcJsClient(address: string): BlobClient {
  const options = { 'grpc-node.flow_control_window': WINDOW_BYTES }
  const uploads = stockClient(UploadService, address, options)
  const blobs = stockClient(BlobService, address, options)
  return {
    upload: (blob) =>
      uploadParts(blob, {
        start: (request) => unary(uploads, 'StartUpload', request) as never,
        write: (messages) => clientStream(uploads, 'WritePart', messages),
        complete: (request) => unary(uploads, 'CompleteUpload', request),
      }),
    download: (blob) =>
      new Promise((resolve, reject) => {
        let length = 0
        const call = blobs['DownloadBlob']!({ digest: blob.digest }, stockMetadata(TOKEN)) as NodeJS.EventEmitter
        call.on('data', ({ message }: { message: { case: string; value: Uint8Array } }) => {
          if (message.case === 'chunk') length += message.value.length
        })
        call.on('error', reject)
        call.on('end', () => resolve(check(length, blob)))
      }),
    close: () => [uploads, blobs].forEach((client) => client.close()),
  }
}

/** The zero-copy client, or the one of connect-node. */
export function connectClient(address: string, isFast: boolean): ConnectBlobClient {
  const sessionManager = new WideSessionManager(address)
  const interceptors = [
    (next: (request: never) => never) => (request: { header: Headers }) => {
      request.header.set('authorization', `Bearer ${TOKEN}`)
      return next(request as never)
    },
  ] as never
  const general = createGrpcTransport({ baseUrl: address, sessionManager, interceptors, acceptCompression: [] })
  const methods = isFast ? BYTE_METHODS : []
  const readMaxBytes = 4 * MIB
  const transport = createZeroCopyTransport({
    general,
    sessionManager,
    baseUrl: address,
    methods,
    interceptors,
    readMaxBytes,
  })
  const uploads = createClient(UploadService, transport)
  const blobs = createClient(BlobService, transport)
  return {
    upload: (blob) =>
      uploadParts(blob, {
        start: async (request) => uploads.startUpload(request) as never,
        write: (messages) => uploads.writePart(messages as never),
        complete: (request) => uploads.completeUpload(request),
      }),
    uploadInOneStream: async (blob) => void (await blobs.uploadBlob(blobMessages(blob) as never)),
    startParts: async ({ bytes, digest }) => {
      const { result } = await uploads.startUpload({ digest, sizeBytes: BigInt(bytes.length) })
      return (result.value as { id: string }).id
    },
    writePart: async (upload, { bytes }, number) =>
      void (await uploads.writePart(partMessages(upload, number, partAt(bytes, number)) as never)),
    partsOf: async (uploadId) => (await uploads.getUpload({ uploadId })).upload!.parts.map(({ number }) => number),
    completeParts: async (uploadId) => void (await uploads.completeUpload({ uploadId })),
    async download(blob) {
      let length = 0
      for await (const message of blobs.downloadBlob({ digest: blob.digest })) {
        if (message.message.case !== 'chunk') continue
        length += fromField(message.message.value).length
      }
      check(length, blob)
    },
    close: () => sessionManager.abort(),
  }
}

interface UploadCalls {
  start(request: object): Promise<{ result: { case: string; value: { id: string } } }>
  write(messages: AsyncIterable<object>): Promise<unknown>
  complete(request: object): Promise<unknown>
}

async function uploadParts({ bytes, digest }: Blob, calls: UploadCalls): Promise<void> {
  const { result } = await calls.start({ digest, sizeBytes: BigInt(bytes.length) })
  if (result.case !== 'upload') throw new Error('the blob is there already')
  const uploadId = result.value.id
  await inParallel(countParts(bytes), (number) => calls.write(partMessages(uploadId, number, partAt(bytes, number))))
  await calls.complete({ uploadId })
}

async function* blobMessages({ bytes, head, digest }: Blob): AsyncGenerator<object> {
  yield { message: { case: 'header', value: { namespace: 'default', digest, sizeBytes: BigInt(bytes.length) } } }
  if (head) yield { message: { case: 'chunk', value: head } }
  for (let at = head?.length ?? 0; at < bytes.length; at += CHUNK_BYTES) {
    yield { message: { case: 'chunk', value: bytes.subarray(at, at + CHUNK_BYTES) } }
  }
}

async function* partMessages(uploadId: string, number: number, part: Buffer): AsyncGenerator<object> {
  const sha256 = createHash('sha256').update(part).digest()
  yield { message: { case: 'header', value: { uploadId, number, sha256 } } }
  for (let at = 0; at < part.length; at += CHUNK_BYTES) {
    yield { message: { case: 'chunk', value: part.subarray(at, at + CHUNK_BYTES) } }
  }
}

function unary(client: StockClient, method: string, request: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    client[method]!(request, stockMetadata(TOKEN), (error: Error | null, answer: unknown) =>
      error ? reject(error) : resolve(answer),
    )
  })
}

function clientStream(client: StockClient, method: string, messages: AsyncIterable<object>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const call = client[method]!(stockMetadata(TOKEN), (error: Error | null, answer: unknown) =>
      error ? reject(error) : resolve(answer),
    ) as NodeJS.WritableStream
    void (async () => {
      for await (const message of messages) {
        if (!call.write(message as never)) await new Promise<void>((drained) => call.once('drain', drained))
      }
      call.end()
    })()
  })
}

/** Runs `work` for 1 to `count`, several at a time. */
export async function inParallel<T>(
  count: number,
  work: (number: number) => Promise<T>,
  parallel = PARALLEL,
): Promise<T[]> {
  const results: T[] = []
  let next = 1
  const worker = async (): Promise<void> => {
    while (next <= count) {
      const number = next
      next += 1
      results[number - 1] = await work(number)
    }
  }
  await Promise.all(Array.from({ length: Math.min(parallel, count) }, worker))
  return results
}

function check(length: number, { bytes }: Blob): void {
  if (length !== bytes.length) throw new Error(`${length} bytes came instead of ${bytes.length}`)
}
