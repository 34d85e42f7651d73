// google.bytestream by a stock grpc-js client that knows nothing but the public proto.
import { Metadata, status, type ServiceError } from '@grpc/grpc-js'
import { once } from 'node:events'
import { randomUUID } from 'node:crypto'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { startArtifact, type TestStore } from './artifact.ts'
import { makeBytes, sha256 } from './bytes.ts'
import { callUnary, foreignClient, loadPackageProto, type ForeignClient } from './foreign.ts'

const definition = loadPackageProto('google-proto-files', 'google/bytestream/bytestream.proto')

export function byteStream(address: string): ForeignClient {
  return foreignClient(definition, 'google.bytestream.ByteStream', Number(new URL(address).port))
}

/** An artifact service over a new store, with clients of google.bytestream and of BlobService. */
export async function startByteStream(kind: string, createStore: () => Promise<TestStore>) {
  const artifact = await startArtifact(await createStore())
  const client = byteStream(artifact.address)
  return {
    artifact,
    client,
    blobs: artifact.client(BlobService),
    make: (length: number, seed: string) => makeBytes(length, `${kind} ${seed}`),
    stop: async (): Promise<void> => {
      client.close()
      await artifact.stop()
    },
  }
}

export interface Named {
  namespace?: string
  uuid?: string
  sizeBytes?: number
  more?: string
}

export function blobName(bytes: Uint8Array, { namespace, sizeBytes = bytes.length }: Named = {}): string {
  return `${namespace ? `${namespace}/` : ''}blobs/${sha256(bytes).toString('hex')}/${sizeBytes}`
}

export function uploadName(bytes: Uint8Array, { uuid = randomUUID(), more = '', ...named }: Named = {}): string {
  const name = blobName(bytes, named)
  const at = name.indexOf('blobs/')
  return `${name.slice(0, at)}uploads/${uuid}/${name.slice(at)}${more}`
}

export interface WriteMessage {
  resource_name?: string
  write_offset?: number
  finish_write?: boolean
  data?: Uint8Array
}

export interface WriteCall {
  /** Resolves when there is room for more. */
  send(message: WriteMessage): Promise<void>
  end(): void
  cancel(): void
  /** The committed size. */
  answer: Promise<number>
}

interface Duplex {
  write(message: object): boolean
  once(event: string, listener: () => void): void
  end(): void
  cancel(): void
}

export function beginWrite(client: ForeignClient, token = 'alice'): WriteCall {
  const answered = Promise.withResolvers<number>()
  answered.promise.catch(() => undefined)
  let over = false
  const done = (error: ServiceError | null, answer?: { committed_size: string }): void => {
    over = true
    if (error) answered.reject(error)
    else answered.resolve(Number(answer!.committed_size))
  }
  const call = client['Write']!(authorized(token), done) as Duplex
  const settled = answered.promise.catch(() => undefined)
  return {
    async send(message) {
      if (over || call.write({ resource_name: '', write_offset: 0, finish_write: false, data: [], ...message })) return
      await Promise.race([once(call as never, 'drain'), settled])
    },
    end: () => call.end(),
    cancel: () => call.cancel(),
    answer: answered.promise,
  }
}

export interface WriteOptions {
  from?: number
  to?: number
  finish?: boolean
  chunkBytes?: number
  token?: string
  /** Called before each message. */
  onMessage?: (offset: number) => Promise<void> | void
}

/** Writes `bytes` from one offset to another as Bazel does: the first message has the name, the last one finishes. */
export async function writeBlob(
  client: ForeignClient,
  name: string,
  bytes: Uint8Array,
  { from = 0, to = bytes.length, finish = true, chunkBytes = 1024 * 1024, token, onMessage }: WriteOptions = {},
): Promise<number> {
  const call = beginWrite(client, token)
  let offset = from
  do {
    await onMessage?.(offset)
    const data = bytes.subarray(offset, Math.min(offset + chunkBytes, to))
    const last = offset + data.length === to
    await call.send({
      resource_name: offset === from ? name : '',
      write_offset: offset,
      data,
      finish_write: finish && last,
    })
    offset += data.length
  } while (offset < to)
  call.end()
  return call.answer
}

export async function readBlob(
  client: ForeignClient,
  name: string,
  { offset = 0, limit = 0, token = 'alice' }: { offset?: number; limit?: number; token?: string } = {},
): Promise<Buffer> {
  const request = { resource_name: name, read_offset: offset, read_limit: limit }
  const stream = client['Read']!(request, authorized(token)) as AsyncIterable<{ data: Buffer }>
  const chunks: Buffer[] = []
  for await (const { data } of stream) chunks.push(data)
  return Buffer.concat(chunks)
}

export async function queryStatus(
  client: ForeignClient,
  name: string,
  token = 'alice',
): Promise<{ committed: number; complete: boolean }> {
  const answer = await callUnary(client, 'QueryWriteStatus', { resource_name: name }, token)
  return { committed: Number(answer['committed_size']), complete: answer['complete'] as boolean }
}

/** The name of the gRPC code that ends a call. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    (answer) => `answered ${String(answer)}`,
    (error: ServiceError) => status[error.code] ?? String(error),
  )
}

export function authorized(token = 'alice'): Metadata {
  const metadata = new Metadata()
  metadata.set('authorization', `Bearer ${token}`)
  return metadata
}
