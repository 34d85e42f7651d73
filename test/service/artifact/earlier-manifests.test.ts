// Manifests of earlier releases: without titles, and with paths that a new manifest must not have.
import { afterAll, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { writeManifest } from '../../../services/artifact/domain/manifest.ts'
import { startArtifact, STORES } from '../../support/artifact.ts'
import { blobMessages, digestOf } from '../../support/bytes.ts'
import { refusalOf } from '../../support/refusal.ts'

const artifact = await startArtifact(await STORES[1]![1]())
afterAll(() => artifact.stop())
const manifests = artifact.client(ManifestService)
const bytes = Buffer.from('weights')
await artifact.client(BlobService).uploadBlob(blobMessages(bytes))
await artifact.client(BlobService, 'carol').uploadBlob(blobMessages(bytes, { namespace: 'other' }))

const mediaType = 'application/vnd.cncf.model.weight.v1.raw'
const fileAt = (path: string) => ({ path, digest: digestOf(bytes), sizeBytes: bytes.length, mediaType })
const requested = (path: string) => ({ path, digest: digestOf(bytes), sizeBytes: BigInt(bytes.length) })

/** Inserts the manifest that an earlier release created. */
async function insertEarlier(path: string): Promise<{ digest: string; content: Buffer }> {
  const { digest, content } = await writeManifest([fileAt(path)], undefined, { titles: false })
  await artifact.sql(`with event as (
      insert into artifact.outbox (event_id, resource_id, event)
        values (gen_random_uuid(), '${digest}', '{"type": "manifest.created.v1"}')
    ) insert into artifact.manifest (namespace, digest, content, total_size_bytes, file_count)
      values ('default', '${digest}', decode('${content.toString('hex')}', 'hex'), ${bytes.length}, 1)`)
  return { digest, content }
}

test('the manifest of an earlier release is returned for equal files', async () => {
  const { digest, content } = await insertEarlier('model.onnx')
  const files = [requested('model.onnx')]
  const { manifest } = await manifests.createManifest({ files })
  expect(manifest).toMatchObject({ digest, totalSizeBytes: BigInt(bytes.length) })
  expect(Buffer.from(manifest!.content).equals(content)).toBe(true)
  expect((await manifests.getManifest({ digest })).manifest).toEqual(manifest)
  const [{ count } = { count: '' }] = await artifact.sql<{ count: string }>('select count(*) from artifact.manifest')
  expect(count).toBe('1')
})

test('creates a manifest with titles in a namespace that lacks the earlier manifest of the same files', async () => {
  const files = [requested('model.onnx')]
  const { manifest } = await artifact.client(ManifestService, 'carol').createManifest({ namespace: 'other', files })
  expect(Buffer.from(manifest!.content).toString()).toContain('"org.opencontainers.image.title":"model.onnx"')
  expect(digestOf(manifest!.content)).toBe(manifest!.digest)
})

test('a path of more than 32 segments is read, but cannot be created again', async () => {
  const path = `${'d/'.repeat(40)}model.onnx`
  const { digest, content } = await insertEarlier(path)
  const { manifest } = await manifests.getManifest({ digest })
  expect(manifest!.files).toMatchObject([requested(path)])
  expect(Buffer.from(manifest!.content).equals(content)).toBe(true)
  const refused = await refusalOf(manifests.createManifest({ files: [requested(path)] }))
  expect(refused).toMatchObject({ reason: 'FIELD_INVALID', message: 'files[0].path must have at most 32 segments' })
})
