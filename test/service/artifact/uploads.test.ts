import { randomUUID } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadState } from '#gen/modelkeep/artifact/v1/upload_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import {
  blobMessages,
  chunkMessages,
  digestOf,
  download,
  makeBytes,
  partMessages,
  partOf,
  sha256,
  startUpload,
  writePart,
} from '../../support/bytes.ts'
import { refusalOf } from '../../support/refusal.ts'

describe.each(STORES)('uploads to %s', async (_kind, createStore) => {
  const store = await createStore()
  const artifact = await startArtifact(store)
  afterAll(() => artifact.stop())
  const alice = artifact.client(UploadService)
  const blobs = artifact.client(BlobService)

  test('parts go in any order and in parallel, and give the whole', async () => {
    const bytes = makeBytes(50 * MIB + 1, 'any order')
    const upload = await startUpload(alice, bytes)
    expect(upload).toMatchObject({ partCount: 4, partSizeBytes: 16n * BigInt(MIB), state: UploadState.OPEN, parts: [] })
    await Promise.all([4, 2, 3, 1].map((number) => writePart(alice, upload, bytes, number)))
    const { blob } = await alice.completeUpload({ uploadId: upload.id })
    expect(blob!.partSha256s.map((hash) => Buffer.from(hash))).toEqual(
      [1, 2, 3, 4].map((number) => sha256(partOf(bytes, upload, number))),
    )
    expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
  })

  test('another process goes on where one stopped', async () => {
    const bytes = makeBytes(33 * MIB, 'resumed')
    const upload = await startUpload(alice, bytes)
    await writePart(alice, upload, bytes, 2)
    const replica = await artifact.addReplica()
    const again = replica.client(UploadService)
    const resumed = await startUpload(again, bytes)
    expect(resumed.id).toBe(upload.id)
    expect(resumed.parts.map(({ number }) => number)).toEqual([2])
    expect(resumed.parts[0]).toMatchObject({ sizeBytes: 16n * BigInt(MIB) })
    expect(Buffer.from(resumed.parts[0]!.sha256)).toEqual(sha256(partOf(bytes, upload, 2)))
    await writePart(again, upload, bytes, 1)
    await writePart(again, upload, bytes, 3)
    expect((await again.completeUpload({ uploadId: upload.id })).blob!.digest).toBe(digestOf(bytes))
    await replica.stop()
  })

  test('completing again answers with the blob, and starting again has nothing to send', async () => {
    const bytes = makeBytes(3, 'twice')
    const upload = await startUpload(alice, bytes)
    await writePart(alice, upload, bytes, 1)
    const first = await alice.completeUpload({ uploadId: upload.id })
    expect(await alice.completeUpload({ uploadId: upload.id })).toEqual(first)
    const { result } = await alice.startUpload({ digest: digestOf(bytes), sizeBytes: 3n })
    expect(result).toEqual({ case: 'blob', value: first.blob })
    expect((await alice.getUpload({ uploadId: upload.id })).upload!.state).toBe(UploadState.COMMITTED)
    for (const call of [() => alice.abortUpload({ uploadId: upload.id }), () => writePart(alice, upload, bytes, 1)]) {
      expect(await refusalOf(call())).toMatchObject({
        code: 'FailedPrecondition',
        reason: 'UPLOAD_CLOSED',
        metadata: { upload: upload.id, state: 'COMMITTED' },
      })
    }
  })

  test('nothing at all can be uploaded too', async () => {
    const upload = await startUpload(alice, Buffer.alloc(0))
    expect(upload.partCount).toBe(0)
    const { blob } = await alice.completeUpload({ uploadId: upload.id })
    expect(blob).toMatchObject({ sizeBytes: 0n, digest: digestOf(Buffer.alloc(0)) })
    expect(await download(blobs, { digest: blob!.digest })).toHaveLength(0)
  })

  test('a part sent again takes the place of the first', async () => {
    const bytes = makeBytes(17 * MIB, 'replaced')
    const upload = await startUpload(alice, bytes)
    const wrong = makeBytes(16 * MIB, 'wrong')
    await alice.writePart(partMessages(upload.id, 1, wrong))
    await writePart(alice, upload, bytes, 2)
    await writePart(alice, upload, bytes, 1)
    await alice.completeUpload({ uploadId: upload.id })
    expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
  })

  test('parts that are missing are named, and can still be sent', async () => {
    const bytes = makeBytes(49 * MIB, 'missing')
    const upload = await startUpload(alice, bytes)
    await writePart(alice, upload, bytes, 2)
    expect(await refusalOf(alice.completeUpload({ uploadId: upload.id }))).toMatchObject({
      code: 'FailedPrecondition',
      reason: 'PARTS_MISSING',
      metadata: { missing: '1,3,4' },
    })
    await Promise.all([1, 3, 4].map((number) => writePart(alice, upload, bytes, number)))
    await alice.completeUpload({ uploadId: upload.id })
  })

  test('a whole with another digest than announced ends the upload and leaves nothing', async () => {
    const before = await store.listObjects()
    const sent = makeBytes(17 * MIB, 'not what was announced')
    const digest = digestOf(makeBytes(17 * MIB, 'announced'))
    const { result } = await alice.startUpload({ digest, sizeBytes: BigInt(sent.length) })
    const upload = result.case === 'upload' ? result.value : expect.unreachable()
    await writePart(alice, upload, sent, 1)
    await writePart(alice, upload, sent, 2)
    expect(await refusalOf(alice.completeUpload({ uploadId: upload.id }))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'DIGEST_MISMATCH',
      metadata: { expected: digest, actual: digestOf(sent) },
    })
    expect((await blobs.findMissingBlobs({ digests: [digest] })).missingDigests).toEqual([digest])
    expect(await refusalOf(alice.completeUpload({ uploadId: upload.id }))).toMatchObject({
      reason: 'UPLOAD_CLOSED',
      metadata: { state: 'ABORTED' },
    })
    await expect.poll(() => store.listObjects()).toEqual(before)
  })

  test('an aborted upload takes no parts and leaves nothing', async () => {
    const bytes = makeBytes(17 * MIB, 'aborted')
    const upload = await startUpload(alice, bytes)
    await writePart(alice, upload, bytes, 1)
    const [row] = await artifact.sql<{ object_key: string }>(
      `select object_key from artifact.upload where id = '${upload.id}'`,
    )
    const keys = [row!.object_key]
    expect(await store.listUnfinished(keys)).toEqual(keys)
    await alice.abortUpload({ uploadId: upload.id })
    await alice.abortUpload({ uploadId: upload.id })
    for (const call of [
      () => writePart(alice, upload, bytes, 2),
      () => alice.completeUpload({ uploadId: upload.id }),
    ]) {
      expect(await refusalOf(call())).toMatchObject({ reason: 'UPLOAD_CLOSED', metadata: { state: 'ABORTED' } })
    }
    await expect.poll(() => store.listUnfinished(keys)).toEqual([])
    expect((await startUpload(alice, bytes)).id).not.toBe(upload.id)
  })

  test('what stands in the way of a part is told, and the part can be sent again', async () => {
    const bytes = makeBytes(16 * MIB + 100, 'refused parts')
    const upload = await startUpload(alice, bytes)
    const last = partOf(bytes, upload, 2)
    const wrongHash = await refusalOf(alice.writePart(partMessages(upload.id, 2, last, sha256(bytes))))
    expect(wrongHash).toMatchObject({
      reason: 'DIGEST_MISMATCH',
      metadata: { expected: digestOf(bytes), actual: digestOf(last) },
    })
    const short = await refusalOf(alice.writePart(partMessages(upload.id, 2, last.subarray(1))))
    expect(short).toMatchObject({ reason: 'SIZE_MISMATCH', metadata: { expected: '100', actual: '99' } })
    const long = await refusalOf(alice.writePart(partMessages(upload.id, 2, bytes.subarray(0, 101))))
    expect(long).toMatchObject({ reason: 'SIZE_MISMATCH', metadata: { expected: '100', actual: '101' } })
    for (const number of [0, 3, -1]) {
      const refusal = await refusalOf(alice.writePart(partMessages(upload.id, number, last)))
      expect(refusal).toMatchObject({ reason: 'FIELD_INVALID', fields: ['header.number'] })
    }
    const noHash = await refusalOf(alice.writePart(partMessages(upload.id, 2, last, Buffer.alloc(31))))
    expect(noHash).toMatchObject({ reason: 'FIELD_INVALID', fields: ['header.sha256'] })
    expect((await alice.getUpload({ uploadId: upload.id })).upload!.parts).toEqual([])
    await writePart(alice, upload, bytes, 2)
    await writePart(alice, upload, bytes, 1)
    await alice.completeUpload({ uploadId: upload.id })
  })

  test('messages out of order are refused', async () => {
    const bytes = makeBytes(10, 'out of order')
    const upload = await startUpload(alice, bytes)
    const header = [...partHeader(upload.id, bytes)]
    const streams = {
      nothing: async function* () {},
      'a chunk first': () => chunkMessages(bytes),
      'two headers': async function* () {
        yield* header
        yield* header
      },
      'an empty message': async function* () {
        yield* header
        yield { message: { case: undefined } }
      },
    }
    for (const messages of Object.values(streams)) {
      expect(await refusalOf(alice.writePart(messages()))).toMatchObject({
        code: 'InvalidArgument',
        reason: 'STREAM_INVALID',
      })
    }
  })

  test('chunks are 1 byte to 1 MiB', async () => {
    const bytes = makeBytes(2 * MIB, 'chunks')
    const upload = await startUpload(alice, bytes)
    const send = (...chunks: Uint8Array[]) =>
      refusalOf(
        alice.writePart(
          (async function* () {
            yield* partHeader(upload.id, bytes)
            for (const value of chunks) yield { message: { case: 'chunk' as const, value } }
          })(),
        ),
      )
    expect(await send(Buffer.alloc(0))).toMatchObject({ reason: 'FIELD_INVALID', fields: ['chunk'] })
    const refusal = await send(bytes.subarray(0, MIB + 1))
    expect(refusal).toMatchObject({ reason: 'LIMIT_EXCEEDED', metadata: { field: 'chunk', limit: String(MIB) } })
    const huge = await refusalOf(blobs.uploadBlob(blobMessages(makeBytes(9 * MIB, 'huge'), { chunkBytes: 8 * MIB })))
    expect(['ResourceExhausted', 'Canceled']).toContain(huge.code)
  })

  test.each([
    '',
    '../../etc/passwd',
    'objects/ab/x',
    '0',
    randomUUID(),
    randomUUID().toUpperCase(),
    `${randomUUID()}\n`,
    "' or 1=1",
  ])('the upload id %j opens nothing', async (uploadId) => {
    const bytes = makeBytes(3, 'hostile')
    const known = /^[0-9a-f-]{36}$/i.test(uploadId)
    for (const call of [
      () => alice.getUpload({ uploadId }),
      () => alice.completeUpload({ uploadId }),
      () => alice.abortUpload({ uploadId }),
      () => alice.writePart(partMessages(uploadId, 1, bytes)),
    ]) {
      expect(await refusalOf(call())).toMatchObject({ reason: known ? 'UPLOAD_NOT_FOUND' : 'FIELD_INVALID' })
    }
  })

  test('an upload is nobody’s but that of who started it', async () => {
    const bytes = makeBytes(3, 'mine')
    const upload = await startUpload(alice, bytes)
    const unknown = await refusalOf(alice.getUpload({ uploadId: randomUUID() }))
    for (const token of ['bob', 'carol']) {
      const other = artifact.client(UploadService, token)
      for (const call of [
        () => other.getUpload({ uploadId: upload.id }),
        () => other.completeUpload({ uploadId: upload.id }),
        () => other.abortUpload({ uploadId: upload.id }),
        () => writePart(other, upload, bytes, 1),
      ]) {
        const refusal = await refusalOf(call())
        expect(refusal).toMatchObject({ code: 'NotFound', reason: 'UPLOAD_NOT_FOUND', metadata: { upload: upload.id } })
        expect(refusal.message.replace(upload.id, '')).toBe(unknown.message.replace(unknown.metadata['upload']!, ''))
      }
    }
    expect((await startUpload(artifact.client(UploadService, 'bob'), bytes)).id).not.toBe(upload.id)
    const reader = artifact.client(UploadService, 'reader')
    expect(await refusalOf(startUpload(reader, bytes))).toMatchObject({ reason: 'PERMISSION_DENIED' })
  })

  test('each part moves the time of expiry', async () => {
    const bytes = makeBytes(3, 'moved')
    const upload = await startUpload(alice, bytes)
    await artifact.sql(`update artifact.upload set expire_time = now() + interval '1 minute' where id = '${upload.id}'`)
    await writePart(alice, upload, bytes, 1)
    const { upload: later } = await alice.getUpload({ uploadId: upload.id })
    expect(later!.expireTime!.seconds).toBeGreaterThanOrEqual(upload.expireTime!.seconds)
  })

  test.each([
    ['digest', { digest: 'sha256:1', sizeBytes: 1n }],
    ['size_bytes', { digest: `sha256:${'1'.repeat(64)}`, sizeBytes: -1n }],
    ['size_bytes', { digest: `sha256:${'1'.repeat(64)}`, sizeBytes: 5n * 1024n ** 4n + 1n }],
  ])('a start with a bad %s is refused', async (field, request) => {
    expect(await refusalOf(alice.startUpload(request))).toMatchObject({ code: 'InvalidArgument', fields: [field] })
  })

  test('the largest blob there may be has at most 10,000 parts', async () => {
    const { result } = await alice.startUpload({ digest: `sha256:${'2'.repeat(64)}`, sizeBytes: 5n * 1024n ** 4n })
    expect(result.value).toMatchObject({ partSizeBytes: BigInt(552 * MIB), partCount: 9498 })
  })
})

function* partHeader(uploadId: string, bytes: Uint8Array) {
  yield { message: { case: 'header' as const, value: { uploadId, number: 1, sha256: sha256(bytes) } } }
}
