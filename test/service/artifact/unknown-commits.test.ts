// A connection to the database that breaks after a commit, before the service receives the answer.
import { afterAll, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { ManifestService } from '#gen/modelkeep/artifact/v1/manifest_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { MIB, startArtifact } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes, startUpload } from '../../support/bytes.ts'
import { retryUntilSuccess, pushInParts } from '../../support/chaos-artifact.ts'
import { startCommitProxy } from '../../support/commit-proxy.ts'
import { createDatabase } from '../../support/database.ts'
import { S3Store } from '../../../services/artifact/store/s3/s3-store.ts'
import { createBucket } from '../../support/minio.ts'

const database = await createDatabase()
const proxy = await startCommitProxy(database.url)
const bucket = await createBucket()
const store = { ...bucket, open: () => new S3Store(bucket.options), overwrite: async () => {} }
const artifact = await startArtifact(store, { database, serviceDatabaseUrl: proxy.url })
afterAll(async () => {
  await artifact.stop()
  await proxy.close()
})
const blobs = artifact.client(BlobService)
const uploads = artifact.client(UploadService)
const manifests = artifact.client(ManifestService)

const CLEAR = ['DEPENDENCY_UNAVAILABLE', 'UPLOAD_BUSY']

/** Runs `step` once for each of its commits, and drops the answer to that commit. */
async function loseEach(step: (attempt: number) => Promise<void>): Promise<void> {
  for (let nth = 1; ; nth += 1) {
    proxy.dropResponse(nth)
    const reasons = await retryUntilSuccess(async () => {
      // The lease of the lost call is released.
      if (nth > 1) await artifact.sql('update artifact.upload set lease_until = now() where lease_until > now()')
      await step(nth)
    })
    for (const reason of reasons) expect(CLEAR).toContain(reason)
    const { lost } = proxy
    proxy.dropResponse(0)
    if (!lost) return expect(nth).toBeGreaterThan(1)
  }
}

test('commits a blob with one event when the upload is retried', async () => {
  await loseEach(async (nth) => {
    const bytes = makeBytes(1000, `stream, commit ${nth}`)
    await blobs.uploadBlob(blobMessages(bytes))
    expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
  })
})

test('completes an upload in parts when its calls are retried', async () => {
  await loseEach(async (nth) => {
    const bytes = makeBytes(16 * MIB + 1, `parts, commit ${nth}`)
    await pushInParts({ uploads }, bytes)
    expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
  })
})

test('aborts an upload when the call is retried', async () => {
  await loseEach(async (nth) => {
    const upload = await startUpload(uploads, makeBytes(16 * MIB + 1, `aborted, commit ${nth}`))
    await retryUntilSuccess(async () => void (await uploads.abortUpload({ uploadId: upload.id })))
  })
})

test('creates a manifest when the call is retried', async () => {
  const bytes = makeBytes(10, 'file of a manifest')
  await blobs.uploadBlob(blobMessages(bytes))
  await loseEach(async (nth) => {
    const files = [{ path: `model-${nth}.bin`, digest: digestOf(bytes), sizeBytes: BigInt(bytes.length) }]
    const { manifest } = await manifests.createManifest({ files })
    expect((await manifests.getManifest({ digest: manifest!.digest })).manifest!.files).toHaveLength(1)
  })
})

test('leaves one object and one event for every blob, and nothing else', async () => {
  const open = () => artifact.sql(`select id from artifact.upload where state in ('OPEN', 'COMPLETING')`)
  await artifact.sql('update artifact.upload set expire_time = now(), lease_until = null')
  await expect.poll(open).toEqual([])
  await expect.poll(() => artifact.sql('select object_key from artifact.doomed_object')).toEqual([])
  const stored = await artifact.sql<{ object_key: string }>('select object_key from artifact.blob')
  expect((await bucket.listObjects()).sort()).toEqual(stored.map(({ object_key }) => object_key).sort())
  const events = await artifact.sql(`select * from artifact.outbox where event->>'type' = 'blob.committed.v1'`)
  expect(events).toHaveLength(stored.length)
})
