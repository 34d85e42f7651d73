// Hostile clients of upload and download: they disconnect at any byte, announce bytes that they do not send, or hold
// resources forever.
import { once } from 'node:events'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { S3Store } from '../../../services/artifact/store/s3/s3-store.ts'
import { MIB, startArtifact, type TestStore } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes, partOf, startUpload, writePart } from '../../support/bytes.ts'
import { createBucket } from '../../support/minio.ts'
import { chosenSeed, seededRandom } from '../../support/random.ts'
import {
  frame,
  frameHead,
  openSession,
  openStream,
  partFrames,
  statusOf,
  uploadFrames,
} from '../../support/hand-made-grpc.ts'

const bucket = await createBucket()
const store: TestStore = { ...bucket, open: () => new S3Store(bucket.options), overwrite: async () => {} }
const artifact = await startArtifact(store)
const hasty = await artifact.addReplica({ limits: { streamIdleSeconds: 2 } })
afterAll(async () => {
  await hasty.stop()
  await artifact.stop()
})
const [blobs, uploads] = [artifact.client(BlobService), artifact.client(UploadService)]

let checks = 0
afterEach(async () => {
  const bytes = makeBytes(MIB, `after ${(checks += 1)}`)
  await blobs.uploadBlob(blobMessages(bytes))
  expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
})

const RESOURCE_EXHAUSTED = '8'
const DEADLINE_EXCEEDED = '4'

test.each(['BlobService/UploadBlob', 'UploadService/WritePart', 'BlobService/DownloadBlob'])(
  'allocates nothing for a message of 4 GiB announced to %s',
  async (method) => {
    const session = openSession(artifact.address)
    const before = process.memoryUsage.rss()
    for (const length of [0xffff_ffff, 0x7fff_ffff, 5 * MIB]) {
      const stream = openStream(session, method)
      stream.write(frameHead(length))
      expect(await statusOf(stream)).toBe(RESOURCE_EXHAUSTED)
    }
    expect(process.memoryUsage.rss() - before).toBeLessThan(128 * MIB)
    session.destroy()
  },
)

test('ends an upload that announces a message of 4 GiB, and leaves nothing', async () => {
  const bytes = makeBytes(20 * MIB, 'interrupted by four gibibytes')
  const session = openSession(artifact.address)
  const stream = openStream(session, 'BlobService/UploadBlob')
  stream.write(Buffer.concat([...uploadFrames(bytes).slice(0, -1), frameHead(0xffff_ffff)]))
  expect(await statusOf(stream)).toBe(RESOURCE_EXHAUSTED)
  await expectNothingUnderWay()
  session.destroy()
})

describe('a client that disconnects at any byte', () => {
  const random = seededRandom(chosenSeed())
  const content = makeBytes(1_200_000, 'broken off')
  const whole = Buffer.concat(uploadFrames(content))
  const places = [0, 1, 4, 5, 6, 60, 500_100, whole.length - 1, ...[1, 2, 3, 4].map(() => random.below(whole.length))]

  test('of a simple upload leaves nothing, whether it closes the connection, resets the stream or ends it', async () => {
    for (const place of places) {
      for (const leave of ['cut', 'reset', 'end']) {
        const session = openSession(artifact.address)
        const stream = openStream(session, 'BlobService/UploadBlob')
        stream.write(whole.subarray(0, place))
        if (leave === 'end') {
          stream.end()
          expect(Number(await statusOf(stream))).toBeGreaterThan(0)
        }
        if (leave === 'reset') stream.close(8)
        session.destroy()
      }
    }
    await expectNothingUnderWay()
    const missing = await blobs.findMissingBlobs({ digests: [digestOf(content)] })
    expect(missing.missingDigests).toEqual([digestOf(content)])
  })

  test('of a part leaves no part, and the upload stays as it was', async () => {
    const bytes = makeBytes(17 * MIB, 'part broken off')
    const upload = await startUpload(uploads, bytes)
    const part = partOf(bytes, upload, 2)
    const sent = Buffer.concat(partFrames(upload.id, 2, part))
    for (const place of [3, 30, 100_000, sent.length - 1, random.below(sent.length)]) {
      const session = openSession(artifact.address)
      const stream = openStream(session, 'UploadService/WritePart')
      await new Promise((resolve) => stream.write(sent.subarray(0, place), resolve))
      session.destroy()
    }
    expect((await uploads.getUpload({ uploadId: upload.id })).upload!.parts).toEqual([])
    for (const number of [1, 2]) await writePart(uploads, upload, bytes, number)
    expect((await uploads.completeUpload({ uploadId: upload.id })).blob!.digest).toBe(digestOf(bytes))
  })
})

test('rejects bytes after the announced end, and bytes that are no message', async () => {
  const bytes = makeBytes(1000, 'with something after it')
  for (const more of [frame(Buffer.from('not a message at all')), frame(Buffer.alloc(0)), Buffer.from([1, 2, 3])]) {
    const session = openSession(artifact.address)
    const stream = openStream(session, 'BlobService/UploadBlob')
    stream.end(Buffer.concat([...uploadFrames(bytes), more]))
    expect(Number(await statusOf(stream))).toBeGreaterThan(0)
    session.destroy()
  }
  await expectNothingUnderWay()
})

test('serves other clients beside a thousand silent connections', async () => {
  const sessions = Array.from({ length: 1000 }, () => openSession(artifact.address))
  await Promise.all(sessions.map((session) => once(session, 'remoteSettings')))
  const bytes = makeBytes(17 * MIB, 'among a thousand')
  await blobs.uploadBlob(blobMessages(bytes))
  expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
  for (const session of sessions) session.destroy()
})

test('ends the idle streams of one client, and serves other clients meanwhile', async () => {
  const session = openSession(hasty.address)
  await once(session, 'remoteSettings')
  const most = session.remoteSettings.maxConcurrentStreams!
  expect(most).toBeLessThanOrEqual(1000)
  const held = Array.from({ length: most }, () => openStream(session, 'BlobService/UploadBlob'))
  const statuses = held.map(statusOf)
  const bytes = makeBytes(3 * MIB, 'beside held streams')
  await hasty.client(BlobService).uploadBlob(blobMessages(bytes))
  expect(new Set(await Promise.all(statuses))).toEqual(new Set([DEADLINE_EXCEEDED]))
  for (const stream of held) stream.close()
  const go = (): Promise<string | undefined> => {
    const stream = openStream(session, 'BlobService/UploadBlob')
    stream.end(Buffer.concat(uploadFrames(makeBytes(10, 'on the same connection'))))
    return statusOf(stream)
  }
  // The service accepts no more before it has seen the reset.
  await expect.poll(go).toBe('0')
  session.destroy()
})

async function expectNothingUnderWay(): Promise<void> {
  await expect.poll(() => artifact.sql('select id from artifact.upload where not resumable')).toEqual([])
  await expect.poll(() => artifact.sql('select object_key from artifact.doomed_object')).toEqual([])
}
