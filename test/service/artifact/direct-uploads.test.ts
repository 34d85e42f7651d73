import { afterAll, describe, expect, test, vi } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { DirectService } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { S3Store } from '../../../services/artifact/store/s3/s3-store.ts'
import { MIB, startArtifact } from '../../support/artifact.ts'
import { digestOf, download, makeBytes, partOf, sha256, startUpload, writePart } from '../../support/bytes.ts'
import { confirmed, putPart, send, signPart } from '../../support/direct.ts'
import { createBucket } from '../../support/minio.ts'
import { refusalOf } from '../../support/refusal.ts'

const bucket = await createBucket()
const store = { ...bucket, open: () => new S3Store(bucket.options), overwrite: () => Promise.resolve() }
const artifact = await startArtifact(store)
afterAll(() => artifact.stop())
const uploads = artifact.client(UploadService)
const direct = artifact.client(DirectService)
const blobs = artifact.client(BlobService)

describe('a direct upload', () => {
  test('accepts parts in any order and in parallel, and commits the whole blob', async () => {
    const bytes = makeBytes(50 * MIB + 1, 'direct, any order')
    const upload = await startUpload(uploads, bytes)
    await Promise.all([4, 2, 3, 1].map((number) => putPart(direct, upload, bytes, number)))
    expect((await uploads.getUpload({ uploadId: upload.id })).upload!.parts.map(({ number }) => number)).toEqual([
      1, 2, 3, 4,
    ])
    const { blob } = await uploads.completeUpload({ uploadId: upload.id })
    expect(blob!.partSha256s.map((hash) => Buffer.from(hash))).toEqual(
      [1, 2, 3, 4].map((number) => sha256(partOf(bytes, upload, number))),
    )
    expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
  })

  test('can continue as a stream, and a stream can continue as a direct upload', async () => {
    const bytes = makeBytes(33 * MIB, 'both modes')
    const upload = await startUpload(uploads, bytes)
    await writePart(uploads, upload, bytes, 1)
    await putPart(direct, upload, bytes, 2)
    await putPart(direct, upload, bytes, 3)
    await writePart(uploads, upload, bytes, 3)
    expect((await uploads.completeUpload({ uploadId: upload.id })).blob!.digest).toBe(digestOf(bytes))
  })

  test('signs at most a thousand parts in one call', async () => {
    const sizeBytes = 1001n * 16n * BigInt(MIB)
    const { result } = await uploads.startUpload({ digest: digestOf(Buffer.from('a large one')), sizeBytes })
    const uploadId = result.case === 'upload' ? result.value.id : ''
    const parts = Array.from({ length: 1001 }, (_, index) => ({ number: index + 1, sha256: sha256(Buffer.of(1)) }))
    const signed = await direct.signParts({ uploadId, parts: parts.slice(1) })
    expect(signed.parts.map(({ number }) => number)).toEqual(parts.slice(1).map(({ number }) => number))
    expect(new Set(signed.parts.map(({ request }) => request!.url)).size).toBe(1000)
    expect(await refusalOf(direct.signParts({ uploadId, parts }))).toMatchObject({ reason: 'LIMIT_EXCEEDED' })
    await uploads.abortUpload({ uploadId })
  })

  test('is rejected by the store if its bytes differ from the signed digest', async () => {
    const bytes = makeBytes(17 * MIB, 'bound')
    const upload = await startUpload(uploads, bytes)
    const part = Buffer.from(partOf(bytes, upload, 1))
    const signed = await signPart(direct, upload, 1, part)
    const wrong = Buffer.from(part)
    wrong[5] = wrong[5]! ^ 1
    expect(await send(signed, wrong)).toMatchObject({ status: 400, code: 'XAmzContentSHA256Mismatch' })
    const otherHash = { 'x-amz-content-sha256': sha256(wrong).toString('hex') }
    expect(await send(signed, wrong, otherHash)).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' })
    const shorter = await send(signed, part.subarray(1), { 'content-length': String(part.length - 1) })
    expect(shorter).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' })
    const elsewhere = { ...signed, url: signed.url.replace('partNumber=1', 'partNumber=2') }
    expect(await send(elsewhere, part)).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' })
    const unbound = { ...signed, headers: { 'content-length': String(part.length) } }
    expect((await send(unbound, wrong)).status).toBeGreaterThanOrEqual(400)
    expect((await send(signed, part)).status).toBe(200)
    await uploads.abortUpload({ uploadId: upload.id })
  })

  test('commits no wrong blob for a client that confirms a wrong digest', async () => {
    const bytes = makeBytes(17 * MIB, 'lied about')
    const upload = await startUpload(uploads, bytes)
    await putPart(direct, upload, bytes, 2)
    const first = partOf(bytes, upload, 1)
    const never = confirmed(1, first, '"00000000000000000000000000000000"')
    await direct.confirmParts({ uploadId: upload.id, parts: [never] })
    expect(await refusalOf(uploads.completeUpload({ uploadId: upload.id }))).toMatchObject({ reason: 'PARTS_MISSING' })
    const other = makeBytes(16 * MIB, 'other bytes')
    const { etag } = await send(await signPart(direct, upload, 1, other), other)
    await direct.confirmParts({ uploadId: upload.id, parts: [confirmed(1, first, etag)] })
    await putPart(direct, upload, bytes, 2)
    expect(await refusalOf(uploads.completeUpload({ uploadId: upload.id }))).toMatchObject({
      reason: 'DIGEST_MISMATCH',
    })
    expect(await refusalOf(blobs.getBlob({ digest: digestOf(bytes) }))).toMatchObject({ reason: 'BLOB_NOT_FOUND' })
  })

  test('retains its correct parts when another part was confirmed with a wrong hash', async () => {
    const bytes = makeBytes(17 * MIB, 'wrong hash')
    const upload = await startUpload(uploads, bytes)
    const first = partOf(bytes, upload, 1)
    const { etag } = await send(await signPart(direct, upload, 1, first), first)
    const lie = { ...confirmed(1, first, etag), sha256: sha256(Buffer.from('something else')) }
    await direct.confirmParts({ uploadId: upload.id, parts: [lie] })
    await putPart(direct, upload, bytes, 2)
    const { blob } = await uploads.completeUpload({ uploadId: upload.id })
    expect(Buffer.from(blob!.partSha256s[0]!)).toEqual(sha256(first))
  })

  test('is not changed by its URLs after it ended', async () => {
    const bytes = makeBytes(1000, 'expired')
    const hasty = await artifact.addReplica({ bytes: new S3Store({ ...bucket.options, presignSeconds: 1 }) })
    const upload = await startUpload(uploads, bytes)
    const signed = await signPart(hasty.client(DirectService), upload, 1, bytes)
    await vi.waitFor(
      async () => expect(await send(signed, bytes)).toMatchObject({ status: 403, code: 'AccessDenied' }),
      {
        timeout: 10_000,
        interval: 200,
      },
    )
    await putPart(direct, upload, bytes, 1)
    await uploads.completeUpload({ uploadId: upload.id })
    const { request } = await hasty.client(DirectService).getDownloadPlan({ digest: digestOf(bytes) })
    await vi.waitFor(async () => expect((await send(request!)).status).toBe(403), { timeout: 10_000, interval: 200 })
    await hasty.stop()
  })

  test('accepts no more parts after it was completed or aborted', async () => {
    const bytes = makeBytes(1000, 'over')
    const upload = await startUpload(uploads, bytes)
    const signed = await signPart(direct, upload, 1, bytes)
    const { etag } = await send(signed, bytes)
    await uploads.abortUpload({ uploadId: upload.id })
    const parts = [confirmed(1, bytes, etag)]
    for (const call of [
      () => direct.signParts({ uploadId: upload.id, parts }),
      () => direct.confirmParts({ uploadId: upload.id, parts }),
    ]) {
      expect(await refusalOf(call())).toMatchObject({ reason: 'UPLOAD_CLOSED', metadata: { state: 'ABORTED' } })
    }
    const again = await startUpload(uploads, bytes)
    const later = await signPart(direct, again, 1, bytes)
    await putPart(direct, again, bytes, 1)
    const { blob } = await uploads.completeUpload({ uploadId: again.id })
    expect(await send(later, bytes)).toMatchObject({ status: 404, code: 'NoSuchUpload' })
    expect(await direct.signParts({ uploadId: again.id, parts })).toMatchObject({
      parts: [],
      blob: { digest: blob!.digest },
    })
    expect(await direct.confirmParts({ uploadId: again.id, parts })).toMatchObject({ parts: [], blob })
  })

  test('is hidden from other principals and from readers', async () => {
    const bytes = makeBytes(1000, 'mine')
    const upload = await startUpload(uploads, bytes)
    const parts = [confirmed(1, bytes, 'abc')]
    for (const [token, reason] of [
      ['bob', 'UPLOAD_NOT_FOUND'],
      ['carol', 'UPLOAD_NOT_FOUND'],
      ['reader', 'PERMISSION_DENIED'],
      ['nobody', 'TOKEN_INVALID'],
    ] as const) {
      const other = artifact.client(DirectService, token)
      expect(await refusalOf(other.signParts({ uploadId: upload.id, parts }))).toMatchObject({ reason })
      expect(await refusalOf(other.confirmParts({ uploadId: upload.id, parts }))).toMatchObject({ reason })
    }
    await uploads.abortUpload({ uploadId: upload.id })
  })

  test('reports the field of a bad request', async () => {
    const bytes = makeBytes(1000, 'fields')
    const uploadId = (await startUpload(uploads, bytes)).id
    const right = confirmed(1, bytes, 'abc')
    const mistakes: [(typeof right)[], string][] = [
      [[], 'parts'],
      [[{ ...right, number: 0 }], 'parts[0].number'],
      [[{ ...right, number: 2 }], 'parts[0].number'],
      [[right, right], 'parts[1].number'],
      [[{ ...right, sha256: Buffer.alloc(31) }], 'parts[0].sha256'],
    ]
    for (const [parts, field] of mistakes) {
      expect(await refusalOf(direct.signParts({ uploadId, parts }))).toMatchObject({ fields: [field] })
      expect(await refusalOf(direct.confirmParts({ uploadId, parts }))).toMatchObject({ fields: [field] })
    }
    for (const etag of ['', '<a>', 'a"b', 'x'.repeat(129)]) {
      const refusal = await refusalOf(direct.confirmParts({ uploadId, parts: [{ ...right, etag }] }))
      expect(refusal).toMatchObject({ fields: ['parts[0].etag'] })
    }
    const longer = { ...right, sizeBytes: 1001n }
    expect(await refusalOf(direct.confirmParts({ uploadId, parts: [longer] }))).toMatchObject({
      reason: 'SIZE_MISMATCH',
      metadata: { expected: '1000', actual: '1001' },
    })
    await uploads.abortUpload({ uploadId })
  })
})
