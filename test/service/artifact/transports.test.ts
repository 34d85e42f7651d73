// Uploads and downloads over every protocol, without a limit on their duration.
import { createClient, type Transport } from '@connectrpc/connect'
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Server } from 'node:http'
import { afterAll, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { S3Store } from '../../../services/artifact/store/s3/s3-store.ts'
import { MIB, startArtifact, type TestStore } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes, startUpload, writePart } from '../../support/bytes.ts'
import { createBucket } from '../../support/minio.ts'

const bucket = await createBucket()
const store: TestStore = { ...bucket, open: () => new S3Store(bucket.options), overwrite: async () => {} }
const artifact = await startArtifact(store)
afterAll(() => artifact.stop())

const options = (useBinaryFormat: boolean) => ({
  baseUrl: artifact.address,
  useBinaryFormat,
  interceptors: [
    (next: Parameters<NonNullable<Parameters<typeof createGrpcTransport>[0]['interceptors']>[number]>[0]) =>
      async (request: Parameters<typeof next>[0]) => {
        request.header.set('authorization', 'Bearer alice')
        return next(request)
      },
  ],
})

const TRANSPORTS: Record<string, () => Transport> = {
  gRPC: () => createGrpcTransport(options(true)),
  'gRPC with JSON': () => createGrpcTransport(options(false)),
  'gRPC-Web over HTTP/1.1': () => createGrpcWebTransport({ ...options(true), httpVersion: '1.1' }),
  'gRPC-Web over HTTP/2': () => createGrpcWebTransport({ ...options(true), httpVersion: '2' }),
  'gRPC-Web with JSON': () => createGrpcWebTransport({ ...options(false), httpVersion: '1.1' }),
  'Connect over HTTP/1.1': () => createConnectTransport({ ...options(true), httpVersion: '1.1' }),
  'Connect over HTTP/2': () => createConnectTransport({ ...options(true), httpVersion: '2' }),
  'Connect with JSON over HTTP/1.1': () => createConnectTransport({ ...options(false), httpVersion: '1.1' }),
  'Connect with JSON over HTTP/2': () => createConnectTransport({ ...options(false), httpVersion: '2' }),
}

test.each(Object.keys(TRANSPORTS))('uploads and downloads a blob over %s', async (name) => {
  const transport = TRANSPORTS[name]!()
  const [blobs, uploads] = [createClient(BlobService, transport), createClient(UploadService, transport)]
  // JSON encodes three bytes as four, and the limit of a message is 4 MiB.
  const chunkBytes = 700_000
  const size = name.includes('JSON') ? 2 * MIB : 16 * MIB
  for (const bytes of [makeBytes(0, name), makeBytes(size + 5, name)]) {
    const { blob } = await blobs.uploadBlob(blobMessages(bytes, { chunkBytes }))
    expect(blob!.digest).toBe(digestOf(bytes))
    expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
  }
  const other = makeBytes(size + 9, `${name}, in parts`)
  const upload = await startUpload(uploads, other)
  for (let number = upload.partCount; number > 0; number -= 1) await writePart(uploads, upload, other, number)
  await uploads.completeUpload({ uploadId: upload.id })
  const range = await download(blobs, { digest: digestOf(other), offset: BigInt(size - 3), length: 9n })
  expect(range.equals(other.subarray(size - 3, size + 6))).toBe(true)
})

test('accepts an upload over HTTP/1.1 that takes longer than the five minutes that Node allows', async () => {
  const servers = new Set<Server>()
  const note = (message: unknown): void => void servers.add((message as { server: Server }).server)
  subscribe('http.server.request.start', note)
  expect((await fetch(`${artifact.address}/healthz`)).status).toBe(200)
  unsubscribe('http.server.request.start', note)
  const [server, ...others] = servers
  expect(others).toEqual([])
  expect(server).toMatchObject({ requestTimeout: 0, timeout: 0 })
  // A client that never finishes its headers is still disconnected.
  expect(server!.headersTimeout).toBeGreaterThan(0)
})
