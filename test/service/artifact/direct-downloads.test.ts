import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { DirectService } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { S3Store } from '../../../services/artifact/store/s3/s3-store.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes, sha256, startUpload, writePart } from '../../support/bytes.ts'
import { confirmed, putPart, send } from '../../support/direct.ts'
import { createBucket } from '../../support/minio.ts'
import { refusalOf } from '../../support/refusal.ts'

const bucket = await createBucket()
const store = {
  ...bucket,
  open: () => new S3Store(bucket.options),
  overwrite: async (key: string, bytes: Buffer) =>
    void (await bucket.client.putObject(bucket.options.bucket, key, bytes)),
}
const log: string[] = []
const artifact = await startArtifact(store, { onLog: (line) => log.push(line) })
afterAll(() => artifact.stop())
const direct = artifact.client(DirectService)
const blobs = artifact.client(BlobService)

describe('a download plan', async () => {
  const bytes = makeBytes(40 * MIB + 7, 'planned')
  await blobs.uploadBlob(blobMessages(bytes))

  test('reads ranges that the part digests verify', async () => {
    const { blob, request } = await direct.getDownloadPlan({ digest: digestOf(bytes) })
    const size = Number(blob!.partSizeBytes)
    const parts = await Promise.all(
      blob!.partSha256s.map(async (expected, index) => {
        const range = `bytes=${index * size}-${Math.min(bytes.length, (index + 1) * size) - 1}`
        const { status, body } = await send(request!, undefined, { range })
        expect(status).toBe(206)
        expect(sha256(body)).toEqual(Buffer.from(expected))
        return body
      }),
    )
    expect(Buffer.concat(parts).equals(bytes)).toBe(true)
    expect((await send(request!)).body.equals(bytes)).toBe(true)
  })

  test('permits reading only', async () => {
    const { request } = await direct.getDownloadPlan({ digest: digestOf(bytes) })
    for (const method of ['PUT', 'DELETE']) {
      expect(await send({ ...request!, method })).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' })
    }
  })

  test('requires read permission and an existing blob', async () => {
    expect(
      (await artifact.client(DirectService, 'reader').getDownloadPlan({ digest: digestOf(bytes) })).request,
    ).toBeDefined()
    const carol = artifact.client(DirectService, 'carol')
    expect(await refusalOf(carol.getDownloadPlan({ digest: digestOf(bytes) }))).toMatchObject({
      reason: 'PERMISSION_DENIED',
    })
    const elsewhere = carol.getDownloadPlan({ namespace: 'other', digest: digestOf(bytes) })
    expect(await refusalOf(elsewhere)).toMatchObject({ reason: 'BLOB_NOT_FOUND' })
  })

  test('of the empty blob has no request', async () => {
    const empty = Buffer.alloc(0)
    await blobs.uploadBlob(blobMessages(empty))
    const plan = await direct.getDownloadPlan({ digest: digestOf(empty) })
    expect(plan).toMatchObject({ blob: { sizeBytes: 0n } })
    expect(plan.request).toBeUndefined()
  })

  test('lets a reader find the part that the store corrupted', async () => {
    const spoilt = makeBytes(33 * MIB, 'spoilt')
    const before = await bucket.listObjects()
    await blobs.uploadBlob(blobMessages(spoilt))
    const key = (await bucket.listObjects()).find((name) => !before.includes(name))
    const flipped = Buffer.from(spoilt)
    flipped[20 * MIB] = flipped[20 * MIB]! ^ 1
    await store.overwrite(key!, flipped)
    const { blob, request } = await direct.getDownloadPlan({ digest: digestOf(spoilt) })
    const { body } = await send(request!)
    const wrong = blob!.partSha256s.map(
      (expected, index) => !sha256(body.subarray(index * 16 * MIB, (index + 1) * 16 * MIB)).equals(expected),
    )
    expect(wrong).toEqual([false, true, false])
  })

  test('leaves no URL in the log, and no secret in a URL', async () => {
    const { request } = await direct.getDownloadPlan({ digest: digestOf(bytes) })
    const { pathname, searchParams } = new URL(request!.url)
    expect(pathname).toMatch(new RegExp(`^/${bucket.options.bucket}/objects/[0-9a-f]{2}/[0-9a-f-]{36}$`))
    expect([...searchParams.keys()].sort()).toEqual([
      'X-Amz-Algorithm',
      'X-Amz-Credential',
      'X-Amz-Date',
      'X-Amz-Expires',
      'X-Amz-Signature',
      'X-Amz-SignedHeaders',
    ])
    expect(request!.url).not.toContain(bucket.options.secretKey)
    expect(log.join('')).toContain('GetDownloadPlan')
    for (const secret of ['X-Amz-Signature', searchParams.get('X-Amz-Signature')!, pathname]) {
      expect(log.join('')).not.toContain(secret)
    }
  })
})

describe('the setting LANES', () => {
  const bytes = makeBytes(1000, 'lanes')

  test('disables direct transfers', async () => {
    const replica = await artifact.addReplica({ transferModes: 'stream' })
    const there = makeBytes(10, 'for the stream')
    await blobs.uploadBlob(blobMessages(there))
    const upload = await startUpload(replica.client(UploadService), bytes)
    const parts = [confirmed(1, bytes, 'abc')]
    const closed = replica.client(DirectService)
    const refusals = await Promise.all(
      [
        closed.signParts({ uploadId: upload.id, parts }),
        closed.confirmParts({ uploadId: upload.id, parts }),
        closed.getDownloadPlan({ digest: digestOf(there) }),
      ].map(refusalOf),
    )
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({
        code: 'FailedPrecondition',
        reason: 'LANE_CLOSED',
        metadata: { lane: 'direct', lanes: 'stream' },
      })
    }
    await writePart(replica.client(UploadService), upload, bytes, 1)
    await replica.client(UploadService).completeUpload({ uploadId: upload.id })
    expect((await download(replica.client(BlobService), { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
    await replica.stop()
  })

  test('disables streams', async () => {
    const replica = await artifact.addReplica({ transferModes: 'direct' })
    const other = makeBytes(2000, 'lanes, direct')
    const upload = await startUpload(replica.client(UploadService), other)
    const refusals = await Promise.all(
      [
        writePart(replica.client(UploadService), upload, other, 1),
        replica.client(BlobService).uploadBlob(blobMessages(other)),
        download(replica.client(BlobService), { digest: digestOf(bytes) }),
      ].map(refusalOf),
    )
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({
        reason: 'LANE_CLOSED',
        metadata: { lane: 'stream', lanes: 'direct' },
      })
    }
    await putPart(replica.client(DirectService), upload, other, 1)
    await replica.client(UploadService).completeUpload({ uploadId: upload.id })
    const { request } = await replica.client(DirectService).getDownloadPlan({ digest: digestOf(other) })
    expect((await send(request!)).body.equals(other)).toBe(true)
    const nothing = Buffer.from('')
    const { result } = await replica.client(UploadService).startUpload({ digest: digestOf(nothing), sizeBytes: 0n })
    if (result.case === 'upload') await replica.client(UploadService).completeUpload({ uploadId: result.value.id })
    await replica.stop()
  })

  test('cannot give clients access to a directory', async () => {
    const [, createDirectory] = STORES.find(([kind]) => kind === 'a directory')!
    const other = await startArtifact(await createDirectory())
    const there = makeBytes(10, 'in a directory')
    await other.client(BlobService).uploadBlob(blobMessages(there))
    const upload = await startUpload(other.client(UploadService), bytes)
    const parts = [confirmed(1, bytes, 'abc')]
    const refusals = await Promise.all(
      [
        other.client(DirectService).signParts({ uploadId: upload.id, parts }),
        other.client(DirectService).getDownloadPlan({ digest: digestOf(there) }),
      ].map(refusalOf),
    )
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({ code: 'FailedPrecondition', reason: 'DIRECT_LANE_UNAVAILABLE' })
    }
    await other.stop()
  })
})
