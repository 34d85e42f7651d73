import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadFailureReason, UploadState } from '#gen/modelkeep/artifact/v1/upload_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import {
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

describe.each(STORES)('uploads to %s', async (kind, createStore) => {
  const store = await createStore()
  const forgetful = store.open()
  const artifact = await startArtifact(store, { bytes: forgetful })
  afterAll(() => artifact.stop())
  const alice = artifact.client(UploadService)
  const blobs = artifact.client(BlobService)

  test('accepts parts in any order and in parallel, and commits the whole blob', async () => {
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

  test('continues an upload in another process', async () => {
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

  test('returns the blob when an upload is completed or started again', async () => {
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

  test('accepts an upload of zero bytes', async () => {
    const upload = await startUpload(alice, Buffer.alloc(0))
    expect(upload.partCount).toBe(0)
    const { blob } = await alice.completeUpload({ uploadId: upload.id })
    expect(blob).toMatchObject({ sizeBytes: 0n, digest: digestOf(Buffer.alloc(0)) })
    expect(await download(blobs, { digest: blob!.digest })).toHaveLength(0)
  })

  test('replaces a part that is sent again', async () => {
    const bytes = makeBytes(17 * MIB, 'replaced')
    const upload = await startUpload(alice, bytes)
    const wrong = makeBytes(16 * MIB, 'wrong')
    await alice.writePart(partMessages(upload.id, 1, wrong))
    await writePart(alice, upload, bytes, 2)
    await writePart(alice, upload, bytes, 1)
    await alice.completeUpload({ uploadId: upload.id })
    expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
  })

  test('reports missing parts, and still accepts them', async () => {
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

  test('ends an upload with another digest than announced, and leaves nothing', async () => {
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
      metadata: { state: 'FAILED', failure: 'DIGEST_MISMATCH' },
    })
    expect((await alice.getUpload({ uploadId: upload.id })).upload).toMatchObject({
      state: UploadState.FAILED,
      failure: { reason: UploadFailureReason.DIGEST_MISMATCH, partNumber: 0 },
    })
    await expect.poll(() => store.listObjects()).toEqual(before)
  })

  test('rejects parts of an aborted upload, and leaves nothing', async () => {
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

  test('expires an upload that the store has lost, and lets the client start a new one', async () => {
    for (const finish of ['part', 'completion']) {
      const bytes = makeBytes(17 * MIB, `forgotten before the ${finish}`)
      const upload = await startUpload(alice, bytes)
      await writePart(alice, upload, bytes, 1)
      if (finish === 'completion') await writePart(alice, upload, bytes, 2)
      const [row] = await artifact.sql<{ object_key: string }>(
        `select object_key from artifact.upload where id = '${upload.id}'`,
      )
      await forgetful.abort(row!.object_key, null)
      const call =
        finish === 'part' ? writePart(alice, upload, bytes, 2) : alice.completeUpload({ uploadId: upload.id })
      expect(await refusalOf(call)).toMatchObject({
        reason: 'UPLOAD_CLOSED',
        metadata: { state: 'EXPIRED', failure: 'STORE_FORGOT' },
      })
      const anew = await startUpload(alice, bytes)
      expect(anew.id).not.toBe(upload.id)
      await Promise.all([1, 2].map((number) => writePart(alice, anew, bytes, number)))
      await alice.completeUpload({ uploadId: anew.id })
    }
  })

  test.skipIf(kind !== 'S3')('requires parts again whose stored form differs from the record', async () => {
    const bytes = makeBytes(17 * MIB, 'stale')
    const upload = await startUpload(alice, bytes)
    await Promise.all([1, 2].map((number) => writePart(alice, upload, bytes, number)))
    await artifact.sql(
      `update artifact.upload_part set etag = repeat('0', 32) where upload_id = '${upload.id}' and number = 2`,
    )
    const complete = () => alice.completeUpload({ uploadId: upload.id })
    expect(await refusalOf(complete())).toMatchObject({ reason: 'PARTS_MISSING', metadata: { missing: '1,2' } })
    await Promise.all([1, 2].map((number) => writePart(alice, upload, bytes, number)))
    expect((await complete()).blob!.digest).toBe(digestOf(bytes))
  })

  test('deletes a closed upload after a week', async () => {
    const bytes = makeBytes(3, 'closed long ago')
    const upload = await startUpload(alice, bytes)
    await alice.abortUpload({ uploadId: upload.id })
    await artifact.sql(`update artifact.upload set expire_time = now() - interval '8 days' where id = '${upload.id}'`)
    const reason = async () => (await refusalOf(alice.getUpload({ uploadId: upload.id }))).reason
    await expect.poll(() => reason().catch(() => '')).toBe('UPLOAD_NOT_FOUND')
  })

  test('extends the expiry with each part', async () => {
    const bytes = makeBytes(3, 'moved')
    const upload = await startUpload(alice, bytes)
    await artifact.sql(`update artifact.upload set expire_time = now() + interval '1 minute' where id = '${upload.id}'`)
    await writePart(alice, upload, bytes, 1)
    const { upload: later } = await alice.getUpload({ uploadId: upload.id })
    expect(later!.expireTime!.seconds).toBeGreaterThanOrEqual(upload.expireTime!.seconds)
  })

  test('splits the largest blob into at most 10,000 parts', async () => {
    const { result } = await alice.startUpload({ digest: `sha256:${'2'.repeat(64)}`, sizeBytes: 5n * 1024n ** 4n })
    expect(result.value).toMatchObject({ partSizeBytes: BigInt(552 * MIB), partCount: 9498 })
  })
})
