import { randomUUID } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { METADATA_TOKEN, startArtifact, STORES } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes } from '../../support/bytes.ts'
import { refusalOf } from '../../support/refusal.ts'

const UNKNOWN = `sha256:${'0'.repeat(64)}`

describe.each(STORES)('manifests over %s', async (_kind, createStore) => {
  const store = await createStore()
  const artifact = await startArtifact(store)
  afterAll(() => artifact.stop())
  const alice = artifact.client(ManifestService)
  const metadata = artifact.client(ManifestService, METADATA_TOKEN)
  const blobs = artifact.client(BlobService)
  const weights = makeBytes(100_000, 'weights')
  const card = Buffer.from('# Card\n')
  await blobs.uploadBlob(blobMessages(weights))
  await blobs.uploadBlob(blobMessages(card))
  const files = [
    { path: 'model.onnx', digest: digestOf(weights), sizeBytes: BigInt(weights.length) },
    { path: 'README.md', digest: digestOf(card), sizeBytes: BigInt(card.length) },
    { path: 'copy/model.onnx', digest: digestOf(weights), sizeBytes: BigInt(weights.length) },
  ]

  test('lists the files of a manifest by path, and its digest is that of its bytes', async () => {
    const { manifest } = await alice.createManifest({ files })
    expect(manifest!.files.map(({ path }) => path)).toEqual(['README.md', 'copy/model.onnx', 'model.onnx'])
    expect(manifest!.files[0]).toMatchObject({ ...files[1], mediaType: 'application/vnd.cncf.model.doc.v1.raw' })
    expect(manifest!.totalSizeBytes).toBe(BigInt(2 * weights.length + card.length))
    expect(digestOf(manifest!.content)).toBe(manifest!.digest)
    expect((await alice.getManifest({ digest: manifest!.digest })).manifest).toEqual(manifest)
  })

  test('the namespace serves every blob that a manifest names, including the config', async () => {
    const { manifest } = await alice.createManifest({ files })
    const { config, layers } = JSON.parse(Buffer.from(manifest!.content).toString()) as {
      config: { digest: string; size: number }
      layers: { digest: string; size: number }[]
    }
    for (const { digest, size } of [config, ...layers]) {
      const bytes = await download(blobs, { digest })
      expect([digestOf(bytes), bytes.length]).toEqual([digest, size])
    }
    const model = JSON.parse((await download(blobs, { digest: config.digest })).toString()) as object
    expect(model).toEqual({
      descriptor: {},
      config: {},
      modelfs: { type: 'layers', diffIds: layers.map(({ digest }) => digest) },
    })
  })

  test('equal files in any order return the existing manifest and emit one event', async () => {
    const [first, ...rest] = await Promise.all(
      [files, files.toReversed(), files].map((list) => alice.createManifest({ files: list })),
    )
    for (const { manifest } of rest) expect(manifest).toEqual(first!.manifest)
    const { digest } = first!.manifest!
    const events = await artifact.sql<{ type: string; name: string }>(
      `select event ->> 'type' as type, event -> 'resource' ->> 'name' as name
        from artifact.outbox where resource_id = '${digest}' and event ->> 'type' <> 'manifest.read.v1'`,
    )
    expect(events).toEqual([{ type: 'manifest.created.v1', name: `default/${digest}` }])
  })

  test('rejects files whose blobs the namespace does not have', async () => {
    const lacking = [...files, { path: 'x', digest: UNKNOWN, sizeBytes: 3n }]
    expect(await refusalOf(alice.createManifest({ files: lacking }))).toMatchObject({
      code: 'FailedPrecondition',
      reason: 'BLOB_MISSING',
      metadata: { missing: UNKNOWN },
    })
    const carol = artifact.client(ManifestService, 'carol')
    expect(await refusalOf(carol.createManifest({ namespace: 'other', files }))).toMatchObject({
      reason: 'BLOB_MISSING',
    })
  })

  test('rejects a file whose size differs from its blob', async () => {
    const wrong = [{ ...files[1]!, sizeBytes: 8n }]
    expect(await refusalOf(alice.createManifest({ files: wrong }))).toMatchObject({
      reason: 'SIZE_MISMATCH',
      metadata: { expected: '8', actual: '7' },
    })
  })

  test('rejects a bad path and names its field', async () => {
    const refusal = await refusalOf(alice.createManifest({ files: [files[0]!, { ...files[1]!, path: '../x' }] }))
    expect(refusal).toMatchObject({ code: 'InvalidArgument', reason: 'FIELD_INVALID', fields: ['files[1].path'] })
  })

  test('hides manifests from callers who cannot read the namespace', async () => {
    const { digest } = (await alice.createManifest({ files })).manifest!
    const carol = artifact.client(ManifestService, 'carol')
    expect(await refusalOf(carol.getManifest({ digest }))).toMatchObject({ reason: 'PERMISSION_DENIED' })
    expect(await refusalOf(carol.getManifest({ namespace: 'other', digest }))).toMatchObject({
      code: 'NotFound',
      reason: 'MANIFEST_NOT_FOUND',
      metadata: { digest },
    })
    const reader = artifact.client(ManifestService, 'reader')
    expect((await reader.getManifest({ digest })).manifest!.digest).toBe(digest)
    expect(await refusalOf(reader.createManifest({ files }))).toMatchObject({ reason: 'PERMISSION_DENIED' })
  })

  test('the metadata service can repeat retaining and releasing a manifest', async () => {
    const { digest, totalSizeBytes } = (await alice.createManifest({ files })).manifest!
    const hold = { namespace: 'default', digest, versionId: randomUUID() }
    for (let time = 0; time < 2; time += 1) {
      expect(await metadata.retainManifest(hold)).toMatchObject({ totalSizeBytes, fileCount: 3 })
    }
    const holds = () => artifact.sql(`select * from artifact.manifest_hold where version_id = '${hold.versionId}'`)
    expect(await holds()).toHaveLength(1)
    await metadata.releaseManifest(hold)
    await metadata.releaseManifest(hold)
    expect(await holds()).toEqual([])
    await metadata.releaseManifest({ ...hold, digest: UNKNOWN })
    const unknown = await refusalOf(metadata.retainManifest({ ...hold, digest: UNKNOWN }))
    expect(unknown).toMatchObject({ code: 'NotFound', reason: 'MANIFEST_NOT_FOUND' })
    const elsewhere = await refusalOf(metadata.retainManifest({ ...hold, namespace: 'other' }))
    expect(elsewhere).toMatchObject({ reason: 'MANIFEST_NOT_FOUND' })
  })

  test.each([
    ['namespace', { namespace: '' }],
    ['digest', { digest: 'x' }],
    ['version_id', { versionId: 'x' }],
  ])('rejects a retention with a bad %s', async (field, change) => {
    const hold = { namespace: 'default', digest: UNKNOWN, versionId: randomUUID(), ...change }
    for (const call of [() => metadata.retainManifest(hold), () => metadata.releaseManifest(hold)]) {
      expect(await refusalOf(call())).toMatchObject({ code: 'InvalidArgument', fields: [field] })
    }
  })

  test('rejects a retain or release by a caller other than the metadata service', async () => {
    const hold = { namespace: 'default', digest: UNKNOWN, versionId: randomUUID() }
    for (const call of [() => alice.retainManifest(hold), () => alice.releaseManifest(hold)]) {
      expect(await refusalOf(call())).toMatchObject({ code: 'PermissionDenied', reason: 'PERMISSION_DENIED' })
    }
  })

  test('creates and returns a manifest of 5,000 files', async () => {
    const many = Array.from({ length: 5_000 }, (_, index) => ({ ...files[1]!, path: `shards/${index}.json` }))
    const { manifest } = await alice.createManifest({ files: many })
    expect(manifest!.files).toHaveLength(5_000)
    expect(digestOf(manifest!.content)).toBe(manifest!.digest)
  })
})
