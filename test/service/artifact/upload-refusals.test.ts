import { randomUUID } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import {
  blobMessages,
  chunkMessages,
  digestOf,
  makeBytes,
  partMessages,
  partOf,
  sha256,
  startUpload,
  writePart,
} from '../../support/bytes.ts'
import { refusalOf } from '../../support/refusal.ts'

describe.each(STORES)('rejected uploads to %s', async (_kind, createStore) => {
  const artifact = await startArtifact(await createStore())
  afterAll(() => artifact.stop())
  const alice = artifact.client(UploadService)
  const blobs = artifact.client(BlobService)

  test('reports why a part is rejected, and accepts it when it is sent again', async () => {
    const bytes = makeBytes(16 * MIB + 100, 'refused parts')
    const upload = await startUpload(alice, bytes)
    const last = partOf(bytes, upload, 2)
    const wrongHash = await refusalOf(alice.writePart(partMessages(upload.id, 2, last, sha256(bytes))))
    expect(wrongHash).toMatchObject({
      reason: 'DIGEST_MISMATCH',
      metadata: { expected: digestOf(bytes), actual: digestOf(last), part: '2' },
    })
    const short = await refusalOf(alice.writePart(partMessages(upload.id, 2, last.subarray(1))))
    expect(short).toMatchObject({ reason: 'SIZE_MISMATCH', metadata: { expected: '100', actual: '99', part: '2' } })
    const long = await refusalOf(alice.writePart(partMessages(upload.id, 2, bytes.subarray(0, 101))))
    expect(long).toMatchObject({ reason: 'SIZE_MISMATCH', metadata: { expected: '100', actual: '101', part: '2' } })
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

  test('rejects messages out of order', async () => {
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

  test('accepts chunks of 1 byte to 1 MiB only', async () => {
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
  ])('rejects the upload id %j', async (uploadId) => {
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

  test('hides an upload from everyone but the caller who started it', async () => {
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

  test.each([
    ['digest', { digest: 'sha256:1', sizeBytes: 1n }],
    ['size_bytes', { digest: `sha256:${'1'.repeat(64)}`, sizeBytes: -1n }],
    ['size_bytes', { digest: `sha256:${'1'.repeat(64)}`, sizeBytes: 5n * 1024n ** 4n + 1n }],
  ])('rejects StartUpload with a bad %s', async (field, request) => {
    expect(await refusalOf(alice.startUpload(request))).toMatchObject({ code: 'InvalidArgument', fields: [field] })
  })
})

function* partHeader(uploadId: string, bytes: Uint8Array) {
  yield { message: { case: 'header' as const, value: { uploadId, number: 1, sha256: sha256(bytes) } } }
}
