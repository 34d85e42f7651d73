// The same cases with the zero-copy handler and with the general adapter, which is its oracle.
import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { CHUNK_BYTES, MIB, startArtifact, STORES } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes, startUpload, writePart } from '../../support/bytes.ts'
import { stockClient, stockMetadata } from '../../support/raw-grpc.ts'
import { refusalOf } from '../../support/refusal.ts'

const store = await STORES[0]![1]()
const artifact = await startArtifact(store)
const general = await artifact.addReplica({ framing: 'general' })
afterAll(async () => {
  await general.stop()
  await artifact.stop()
})

interface StockError {
  code: number
  details: string
  metadata: { get(name: string): Buffer[] }
}

interface StockStream {
  write(message: unknown): boolean
  end(): void
  on(event: string, listener: (value: never) => void): StockStream
}

describe.each([
  ['zero-copy', artifact],
  ['general', general],
])('the %s framing', (framing, replica) => {
  const alice = replica.client(BlobService)
  const stock = stockClient(BlobService, replica.address)
  afterAll(() => stock.close())

  function stockUpload(messages: AsyncIterable<unknown>, token = 'alice', deadline?: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const call = stock['UploadBlob']!(
        stockMetadata(token),
        deadline ? { deadline } : {},
        (error: StockError | null, answer: unknown) => (error ? reject(error) : resolve(answer)),
      ) as StockStream
      void (async () => {
        for await (const message of messages) {
          if (!call.write(message)) await new Promise<void>((drained) => call.on('drain', drained))
        }
        call.end()
      })()
    })
  }

  function stockDownload(request: object): Promise<{ bytes: Buffer; trailers: Map<string, unknown> }> {
    return new Promise((resolve, reject) => {
      const chunks: Uint8Array[] = []
      const call = stock['DownloadBlob']!(request, stockMetadata('alice')) as StockStream
      call.on('data', ({ message }: { message: { case: string; value: Uint8Array } }) => {
        if (message.case === 'chunk') chunks.push(message.value)
      })
      call.on('status', ({ metadata }: { metadata: { getMap(): object } }) =>
        resolve({ bytes: Buffer.concat(chunks), trailers: new Map(Object.entries(metadata.getMap())) }),
      )
      call.on('error', reject as never)
    })
  }

  test.each([0, 1, 127, 128, 16_383, 16_384, 65_536, MIB - 1, MIB, MIB + 1, 16 * MIB, 16 * MIB + 1])(
    'transfers %d bytes in both directions, for connect-node and grpc-js',
    async (length) => {
      const before = replica.zeroCopyCalls()
      const bytes = makeBytes(length, `${framing} ${length}`)
      await stockUpload(blobMessages(bytes, { chunkBytes: MIB }))
      const digest = digestOf(bytes)
      expect((await download(alice, { digest })).equals(bytes)).toBe(true)
      const { bytes: received, trailers } = await stockDownload({ digest })
      expect(received.equals(bytes)).toBe(true)
      expect(`sha256:${String(trailers.get('modelkeep-sha256'))}`).toBe(digest)
      expect(replica.zeroCopyCalls() - before).toBe(framing === 'zero-copy' ? 3 : 0)
    },
  )

  test('serves parts in parallel, and ranges across them', async () => {
    const bytes = makeBytes(40 * MIB + 12_345, `${framing} parts`)
    const uploads = replica.client(UploadService)
    const upload = await startUpload(uploads, bytes)
    await Promise.all([3, 1, 2].map((number) => writePart(uploads, upload, bytes, number)))
    const { blob } = await uploads.completeUpload({ uploadId: upload.id })
    for (const [offset, length] of [
      [0, 1],
      [16 * MIB - 3, 6],
      [16 * MIB, CHUNK_BYTES],
      [5 * MIB, 30 * MIB],
      [40 * MIB, 0],
      [bytes.length, 0],
    ] as const) {
      const range = { digest: blob!.digest, offset: BigInt(offset), length: BigInt(length) }
      const expected = bytes.subarray(offset, length === 0 ? bytes.length : offset + length)
      expect((await download(alice, range)).equals(expected)).toBe(true)
      const stockAnswer = await stockDownload(range)
      expect(stockAnswer.bytes.equals(expected)).toBe(true)
      expect(stockAnswer.trailers.has('modelkeep-sha256')).toBe(false)
    }
  })

  test('reports code, reason and details of an error to either client', async () => {
    const bytes = makeBytes(3 * MIB, 'refused')
    const sizeBytes = BigInt(2 * MIB)
    const refusal = await refusalOf(alice.uploadBlob(blobMessages(bytes, { sizeBytes })))
    expect(refusal).toMatchObject({ code: 'InvalidArgument', reason: 'SIZE_MISMATCH' })
    const error = (await stockUpload(blobMessages(bytes, { sizeBytes })).catch((e: unknown) => e)) as StockError
    expect(error.code).toBe(3)
    expect(error.metadata.get('grpc-status-details-bin')[0]!.includes('SIZE_MISMATCH')).toBe(true)
    const unknown = await refusalOf(download(alice, { digest: `sha256:${'0'.repeat(64)}` }))
    expect(unknown).toMatchObject({ code: 'NotFound', reason: 'BLOB_NOT_FOUND' })
  })

  test('rejects an unknown token before the first byte of the body', async () => {
    let sent = 0
    const never = blobMessages(makeBytes(MIB, 'never'), { onChunk: () => new Promise(() => void (sent += 1)) })
    const error = (await stockUpload(never, 'nobody').catch((e: unknown) => e)) as StockError
    expect(error.code).toBe(16)
    expect(sent).toBeLessThanOrEqual(1)
  })

  test('ends a call whose deadline has passed', async () => {
    const stalled = blobMessages(makeBytes(MIB, `${framing} late`), { onChunk: () => new Promise(() => {}) })
    const error = (await stockUpload(stalled, 'alice', Date.now() + 200).catch((e: unknown) => e)) as StockError
    expect(error.code).toBe(4)
  })

  test('answers early if the blob exists, and the client need not send it', async () => {
    const bytes = makeBytes(8 * MIB, `${framing} early`)
    await alice.uploadBlob(blobMessages(bytes))
    let sent = 0
    const rest = blobMessages(bytes, { onChunk: () => ((sent += 1) > 2 ? new Promise(() => {}) : undefined) })
    expect(await stockUpload(rest)).toMatchObject({ existed: true })
  })

  test('reports a store that fails during a download', async () => {
    const bytes = makeBytes(34 * MIB, `${framing} corrupt`)
    const { blob } = await alice.uploadBlob(blobMessages(bytes))
    const [{ object_key: key }] = (await artifact.sql<{ object_key: string }>(
      `select object_key from artifact.blob where digest = '${blob!.digest}'`,
    )) as [{ object_key: string }]
    bytes[20 * MIB]! ^= 1
    await store.overwrite(key, bytes)
    const refusal = await refusalOf(download(alice, { digest: blob!.digest }))
    expect(refusal).toMatchObject({ code: 'DataLoss', reason: 'BLOB_CORRUPT' })
  })
})
