// Peers that stop within a stream, in both framings: buffered bytes are bounded, and nothing is left behind.
import { create, toBinary } from '@bufbuild/protobuf'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  BlobService,
  DownloadBlobRequestSchema,
  DownloadBlobResponseSchema,
  UploadBlobRequestSchema,
} from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { CHUNK_BYTES, MIB, startArtifact, STORES } from '../../support/artifact.ts'
import { blobMessages, digestOf, makeBytes } from '../../support/bytes.ts'
import { envelope, field, RawClient, readAnswer, readMessages } from '../../support/raw-grpc.ts'

const { uploadBlob, downloadBlob } = BlobService.method
const store = await STORES[1]![1]()
const artifact = await startArtifact(store)
afterAll(() => artifact.stop())

const PATIENCE = { timeout: 20_000 }
const openUploads = () => artifact.sql("select id from artifact.upload where state = 'OPEN'")

/** Resolves when `count` has grown and is stable. */
async function settled(count: () => number): Promise<number> {
  let last = -1
  let same = 0
  await expect
    .poll(
      () => {
        same = count() === last && last > 0 ? same + 1 : 0
        last = count()
        return same
      },
      { ...PATIENCE, interval: 100 },
    )
    .toBeGreaterThan(4)
  return last
}

function header(of: Uint8Array): Buffer {
  const value = { namespace: 'default', digest: digestOf(of), sizeBytes: BigInt(of.length) }
  const message = create(UploadBlobRequestSchema, { message: { case: 'header', value } })
  return envelope(toBinary(UploadBlobRequestSchema, message))
}

function* chunks(of: Buffer): Generator<Buffer> {
  for (let at = 0; at < of.length; at += CHUNK_BYTES) yield envelope(field(2, of.subarray(at, at + CHUNK_BYTES)))
}

describe.each(['zero-copy', 'general'] as const)('by the %s framing', async (framing) => {
  let bytesRead = 0
  const bytes = store.open()
  const read = bytes.read.bind(bytes)
  bytes.read = async function* counting(...call) {
    for await (const piece of read(...call)) {
      bytesRead += piece.length
      yield piece
    }
  }
  const limits = { uploadMemoryBytes: 32 * MIB, budgetWaitMs: 60_000 }
  const replica = await artifact.addReplica({ framing, bytes, limits })
  let client: RawClient
  // A connection without a call is closed after some seconds, so it is opened when the tests begin.
  beforeAll(() => void (client = new RawClient(replica.address)))
  afterAll(async () => {
    client.close()
    await replica.stop()
  })

  test('a reader that pauses is sent no more than its window, and continues where it paused', async () => {
    const blob = makeBytes(64 * MIB, `${framing} slow`)
    await artifact.client(BlobService).uploadBlob(blobMessages(blob))
    const stream = client.open(downloadBlob)
    const request = create(DownloadBlobRequestSchema, { digest: digestOf(blob) })
    stream.end(envelope(toBinary(DownloadBlobRequestSchema, request)))
    expect(await settled(() => bytesRead)).toBeLessThan(8 * MIB)
    const { body, trailers } = await readAnswer(stream)
    expect(trailers['grpc-status']).toBe('0')
    const received = readMessages(DownloadBlobResponseSchema, body).flatMap(({ message }) =>
      message.case === 'chunk' ? [message.value] : [],
    )
    expect(Buffer.concat(received).equals(blob)).toBe(true)
  })

  test('a sender waits at its window while there is no budget, and continues when there is', async () => {
    const first = makeBytes(40 * MIB, `${framing} first`)
    const second = makeBytes(40 * MIB, `${framing} second`)
    const holder = client.open(uploadBlob)
    const held = readAnswer(holder)
    holder.write(header(first))
    await expect.poll(openUploads, PATIENCE).toHaveLength(1)
    const sender = client.open(uploadBlob)
    const sent = readAnswer(sender)
    let taken = 0
    sender.write(header(second))
    const sending = (async () => {
      for (const chunk of chunks(second)) {
        await new Promise((resolve) => sender.write(chunk, resolve))
        taken += chunk.length
      }
      sender.end()
    })()
    // The window and the buffers of the sockets.
    expect(await settled(() => taken)).toBeLessThan(24 * MIB)
    for (const chunk of chunks(first)) holder.write(chunk)
    holder.end()
    expect((await held).trailers['grpc-status']).toBe('0')
    await sending
    expect((await sent).trailers['grpc-status']).toBe('0')
  })

  test('a sender that disconnects within a message leaves nothing, and its budget is released', async () => {
    const vanishing = makeBytes(40 * MIB, `${framing} vanishing`)
    const broken = new RawClient(replica.address)
    const stream = broken.open(uploadBlob)
    stream.write(header(vanishing))
    const [chunk] = chunks(vanishing)
    stream.write(chunk!.subarray(0, 100_000))
    await expect.poll(openUploads, PATIENCE).toHaveLength(1)
    broken.close()
    await expect.poll(openUploads, PATIENCE).toEqual([])
    const other = makeBytes(40 * MIB, `${framing} other`)
    const { trailers } = await client.call(uploadBlob, [header(other), ...chunks(other)])
    expect(trailers['grpc-status']).toBe('0')
  })
})
