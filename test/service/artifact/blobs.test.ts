import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes, sha256 } from '../../support/bytes.ts'
import { refusalOf } from '../../support/refusal.ts'

const UNKNOWN = `sha256:${'0'.repeat(64)}`

describe.each(STORES)('blobs in %s', async (_kind, createStore) => {
  const store = await createStore()
  const artifact = await startArtifact(store)
  afterAll(() => artifact.stop())
  const alice = artifact.client(BlobService)
  const large = makeBytes(40 * MIB + 12_345, 'large')

  test('returns a blob as it was sent, with the SHA-256 of each part', async () => {
    const { blob, existed } = await alice.uploadBlob(blobMessages(large))
    expect(existed).toBe(false)
    expect(blob).toMatchObject({
      digest: digestOf(large),
      sizeBytes: BigInt(large.length),
      partSizeBytes: 16n * BigInt(MIB),
    })
    const parts = [0, 1, 2].map((part) => sha256(large.subarray(part * 16 * MIB, (part + 1) * 16 * MIB)))
    expect(blob!.partSha256s.map((hash) => Buffer.from(hash))).toEqual(parts)
    expect((await download(alice, { digest: blob!.digest })).equals(large)).toBe(true)
    expect((await alice.getBlob({ digest: blob!.digest })).blob).toEqual(blob)
  })

  test.each([0, 1, 65_536, MIB, MIB + 1, 16 * MIB, 16 * MIB + 1])(
    'returns a blob of %d bytes as it was sent',
    async (length) => {
      const bytes = makeBytes(length, `sized ${length}`)
      const { blob } = await alice.uploadBlob(blobMessages(bytes))
      expect(blob!.partSizeBytes).toBe(length > 16 * MIB ? 16n * BigInt(MIB) : 0n)
      expect((await download(alice, { digest: blob!.digest })).equals(bytes)).toBe(true)
    },
  )

  test('accepts chunks of a few bytes', async () => {
    const bytes = makeBytes(100_003, 'fine')
    await alice.uploadBlob(blobMessages(bytes, { chunkBytes: 97 }))
    expect((await download(alice, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
  })

  test.each([
    [0n, 1n],
    [0n, 0n],
    [1n, 5n],
    [BigInt(16 * MIB - 3), 6n],
    [BigInt(16 * MIB), 1n],
    [BigInt(5 * MIB), BigInt(30 * MIB)],
    [BigInt(40 * MIB), 0n],
    [BigInt(40 * MIB + 12_345), 0n],
    [BigInt(40 * MIB), BigInt(2) ** 60n],
  ])('returns the requested range from %d of %d bytes', async (offset, length) => {
    const end = length === 0n ? large.length : Math.min(large.length, Number(offset + length))
    const bytes = await download(alice, { digest: digestOf(large), offset, length })
    expect(bytes.equals(large.subarray(Number(offset), end))).toBe(true)
  })

  test('rejects a range beyond the end of the blob', async () => {
    const offset = BigInt(large.length + 1)
    const refusal = await refusalOf(download(alice, { digest: digestOf(large), offset }))
    const metadata = { offset: String(offset), size: String(large.length) }
    expect(refusal).toMatchObject({ code: 'OutOfRange', reason: 'RANGE_INVALID', metadata })
    for (const field of ['offset', 'length']) {
      const negative = await refusalOf(download(alice, { digest: digestOf(large), [field]: -1n }))
      expect(negative).toMatchObject({ reason: 'FIELD_INVALID', fields: [field] })
    }
  })

  test('lists missing digests in the order of the request, each once', async () => {
    const other = `sha256:${'1'.repeat(64)}`
    const digests = [other, digestOf(large), UNKNOWN, other]
    expect((await alice.findMissingBlobs({ digests })).missingDigests).toEqual([other, UNKNOWN])
    expect(await refusalOf(alice.findMissingBlobs({}))).toMatchObject({ fields: ['digests'] })
    const tooMany = Array.from({ length: 1001 }, () => UNKNOWN)
    expect(await refusalOf(alice.findMissingBlobs({ digests: tooMany }))).toMatchObject({ reason: 'LIMIT_EXCEEDED' })
    const bad = await refusalOf(alice.findMissingBlobs({ digests: [UNKNOWN, UNKNOWN.toUpperCase()] }))
    expect(bad).toMatchObject({ reason: 'FIELD_INVALID', fields: ['digests[1]'] })
  })

  test.each(['Default', 'a b', '-a', 'a'.repeat(64), 'a\u0000', '*', '../x'])(
    'rejects the namespace %j',
    async (namespace) => {
      const digest = digestOf(large)
      for (const [field, call] of [
        ['namespace', () => alice.getBlob({ namespace, digest })],
        ['namespace', () => alice.findMissingBlobs({ namespace, digests: [digest] })],
        ['header.namespace', () => alice.uploadBlob(blobMessages(large, { namespace }))],
      ] as const) {
        expect(await refusalOf(call())).toMatchObject({ reason: 'FIELD_INVALID', fields: [field] })
      }
    },
  )

  test('reports an unknown blob as not found', async () => {
    for (const call of [() => alice.getBlob({ digest: UNKNOWN }), () => download(alice, { digest: UNKNOWN })]) {
      expect(await refusalOf(call())).toMatchObject({
        code: 'NotFound',
        reason: 'BLOB_NOT_FOUND',
        metadata: { digest: UNKNOWN },
      })
    }
  })

  test('answers an upload at once if the namespace has the blob, without reading the rest', async () => {
    let sent = 0
    const never = new Promise<void>(() => {})
    const messages = blobMessages(large, { onChunk: () => ((sent += 1) > 2 ? never : undefined) })
    const { blob, existed } = await alice.uploadBlob(messages)
    expect(existed).toBe(true)
    expect(blob!.digest).toBe(digestOf(large))
    const lie = { digest: digestOf(large), sizeBytes: 5n }
    const uploads = artifact.client(UploadService)
    for (const call of [() => alice.uploadBlob(blobMessages(large, lie)), () => uploads.startUpload(lie)]) {
      expect(await refusalOf(call())).toMatchObject({
        reason: 'SIZE_MISMATCH',
        message: `the blob with this digest has ${large.length} bytes, not the announced 5`,
        metadata: { expected: '5', actual: String(large.length) },
      })
    }
  })

  test('denies the blobs of a namespace to a caller without permission', async () => {
    const carol = artifact.client(BlobService, 'carol')
    const digest = digestOf(large)
    for (const call of [
      () => carol.getBlob({ digest }),
      () => download(carol, { digest }),
      () => carol.findMissingBlobs({ digests: [digest] }),
      () => carol.uploadBlob(blobMessages(large)),
    ]) {
      expect(await refusalOf(call())).toMatchObject({ code: 'PermissionDenied', reason: 'PERMISSION_DENIED' })
    }
    const reader = artifact.client(BlobService, 'reader')
    expect((await reader.getBlob({ digest })).blob!.digest).toBe(digest)
    expect(await refusalOf(reader.uploadBlob(blobMessages(large)))).toMatchObject({ reason: 'PERMISSION_DENIED' })
  })

  test('returns a blob to another namespace only after that sent the bytes, and stores them once', async () => {
    const carol = artifact.client(BlobService, 'carol')
    const digest = digestOf(large)
    expect((await carol.findMissingBlobs({ namespace: 'other', digests: [digest] })).missingDigests).toEqual([digest])
    expect(await refusalOf(carol.getBlob({ namespace: 'other', digest }))).toMatchObject({ reason: 'BLOB_NOT_FOUND' })
    const before = await store.listObjects()
    const { existed } = await carol.uploadBlob(blobMessages(large, { namespace: 'other' }))
    expect(existed).toBe(false)
    expect((await download(alice, { namespace: 'other', digest })).equals(large)).toBe(true)
    await expect.poll(() => store.listObjects()).toEqual(before)
  })

  test('emits one event for each namespace that stores a blob', async () => {
    const events = await artifact.sql<{ type: string; namespace: string; actor: string }>(
      `select event ->> 'type' as type, event -> 'resource' ->> 'namespace' as namespace,
        event -> 'actor' ->> 'principal' as actor from artifact.outbox where resource_id = '${digestOf(large)}' order by sequence`,
    )
    expect(events).toEqual([
      { type: 'blob.committed.v1', namespace: 'default', actor: 'alice' },
      { type: 'blob.committed.v1', namespace: 'other', actor: 'carol' },
    ])
  })
})
