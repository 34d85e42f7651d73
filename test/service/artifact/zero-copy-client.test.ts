// The zero-copy client, against the zero-copy handler and the general adapter.
import { createClient } from '@connectrpc/connect'
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node'
import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { Chunk } from '#lib/byte-streams/chunk.ts'
import { createZeroCopyTransport } from '#lib/byte-streams/transport.ts'
import { BYTE_METHODS } from '../../../services/artifact/rpc/routes.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import { blobMessages, digestOf, makeBytes, startUpload, writePart } from '../../support/bytes.ts'
import { refusalOf } from '../../support/refusal.ts'

const store = await STORES[1]![1]()
const artifact = await startArtifact(store)
const general = await artifact.addReplica({ framing: 'general' })
afterAll(async () => {
  await general.stop()
  await artifact.stop()
})

describe.each([
  ['zero-copy', artifact],
  ['general', general],
])('our client and the %s framing', (framing, { address }) => {
  const sessionManager = new Http2SessionManager(address)
  const interceptors = [
    (next: (request: never) => never) => (request: { header: Headers }) => {
      request.header.set('authorization', 'Bearer alice')
      return next(request as never)
    },
  ] as never
  const transport = createZeroCopyTransport({
    general: createGrpcTransport({ baseUrl: address, sessionManager, interceptors, acceptCompression: [] }),
    sessionManager,
    baseUrl: address,
    methods: BYTE_METHODS,
    interceptors,
    readMaxBytes: 4 * MIB,
  })
  const blobs = createClient(BlobService, transport)
  const uploads = createClient(UploadService, transport)
  afterAll(() => sessionManager.abort())

  test.each([0, 1, MIB, 3 * MIB + 1])('receives %d bytes as chunks, equal to those sent', async (length) => {
    const bytes = makeBytes(length, `${framing} own ${length}`)
    const { blob } = await blobs.uploadBlob(blobMessages(bytes, { chunkBytes: MIB }))
    const received: Uint8Array[] = []
    let trailer = ''
    const onTrailer = (trailers: Headers): void => void (trailer = trailers.get('modelkeep-sha256') ?? '')
    for await (const { message } of blobs.downloadBlob({ digest: blob!.digest }, { onTrailer })) {
      const value: unknown = message.value
      if (value instanceof Chunk) received.push(...value.pieces)
    }
    expect(Buffer.concat(received).equals(bytes)).toBe(true)
    expect(`sha256:${trailer}`).toBe(digestOf(bytes))
  })

  test('sends parts itself, and other calls through the general transport', async () => {
    const bytes = makeBytes(20 * MIB, `${framing} own parts`)
    const upload = await startUpload(uploads, bytes)
    await Promise.all([1, 2].map((number) => writePart(uploads, upload, bytes, number)))
    expect((await uploads.completeUpload({ uploadId: upload.id })).blob!.digest).toBe(digestOf(bytes))
  })

  test('reports the reason of a rejection, and accepts an answer before the end of the upload', async () => {
    const bytes = makeBytes(3 * MIB, `${framing} own refused`)
    const refusal = await refusalOf(blobs.uploadBlob(blobMessages(bytes, { sizeBytes: 5n })))
    expect(refusal).toMatchObject({ code: 'InvalidArgument', reason: 'SIZE_MISMATCH' })
    await blobs.uploadBlob(blobMessages(bytes))
    const never = blobMessages(bytes, { onChunk: (index) => (index > 1 ? new Promise(() => {}) : undefined) })
    expect((await blobs.uploadBlob(never)).existed).toBe(true)
  })

  test('ends a download that is cancelled, or whose server has disconnected', async () => {
    const bytes = makeBytes(24 * MIB, `${framing} own cancelled`)
    const { blob } = await blobs.uploadBlob(blobMessages(bytes))
    const stop = new AbortController()
    const read = async (): Promise<void> => {
      for await (const message of blobs.downloadBlob({ digest: blob!.digest }, { signal: stop.signal })) {
        if (message.message.case === 'chunk') stop.abort()
      }
    }
    expect(await refusalOf(read())).toMatchObject({ code: 'Canceled' })
    const cut = async (): Promise<void> => {
      for await (const message of blobs.downloadBlob({ digest: blob!.digest })) {
        if (message.message.case === 'chunk') sessionManager.abort(new Error('cut'))
      }
    }
    expect(['Unavailable', 'Aborted', 'Canceled', 'Unknown']).toContain((await refusalOf(cut())).code)
  })
})
