import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadState } from '#gen/modelkeep/artifact/v1/upload_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { MIB, startWithReplica, STORES } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes, startUpload, writePart } from '../../support/bytes.ts'
import { Part } from '../../../services/artifact/domain/part.ts'
import { refusalOf } from '../../support/refusal.ts'

describe.each(STORES)('races between uploads on %s', async (_kind, createStore) => {
  const { store, bytesOfStore, artifact, replica, stop } = await startWithReplica(createStore)
  afterAll(stop)
  const alice = artifact.client(UploadService)
  const blobs = artifact.client(BlobService)

  test('stores a blob once that many clients send at the same time', async () => {
    const bytes = makeBytes(18 * MIB, 'raced')
    const before = await store.listObjects()
    const clients = ['alice', 'bob', 'alice', 'bob', 'alice'].map((token, index) =>
      (index % 2 ? artifact : replica).client(BlobService, token),
    )
    const simple = clients.map((client) => client.uploadBlob(blobMessages(bytes)))
    const carol = replica.client(BlobService, 'carol').uploadBlob(blobMessages(bytes, { namespace: 'other' }))
    const bob = replica.client(UploadService, 'bob')
    const resumable = startUpload(bob, bytes).then(async (upload) => {
      await Promise.all([1, 2].map((number) => writePart(bob, upload, bytes, number)))
      return bob.completeUpload({ uploadId: upload.id })
    })
    for (const { blob } of await Promise.all([...simple, carol, resumable])) expect(blob!.digest).toBe(digestOf(bytes))
    await expect.poll(() => artifact.sql('select * from artifact.doomed_object')).toEqual([])
    expect(await store.listObjects()).toHaveLength(before.length + 1)
    expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
    const events = await artifact.sql(`select * from artifact.outbox where resource_id = '${digestOf(bytes)}'`)
    expect(events).toHaveLength(2)
  })

  test('lets one of several calls complete an upload, and rejects the others', async () => {
    const bytes = makeBytes(40 * MIB, 'completed at once')
    const upload = await startUpload(alice, bytes)
    await Promise.all([1, 2, 3].map((number) => writePart(alice, upload, bytes, number)))
    const other = replica.client(UploadService)
    const calls = [alice, other, alice, other].map((client) => client.completeUpload({ uploadId: upload.id }))
    const results = await Promise.allSettled(calls)
    const refused = results.filter((result) => result.status === 'rejected')
    expect(results.length - refused.length).toBeGreaterThanOrEqual(1)
    for (const { reason } of refused) {
      expect(await refusalOf(Promise.reject(reason as Error))).toMatchObject({ code: 'Aborted', reason: 'UPLOAD_BUSY' })
    }
    expect((await alice.completeUpload({ uploadId: upload.id })).blob!.digest).toBe(digestOf(bytes))
    expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
  })

  test('completes an upload with the blob that another upload committed first, and leaves nothing', async () => {
    const bytes = makeBytes(17 * MIB, 'lost')
    const upload = await startUpload(alice, bytes)
    await writePart(alice, upload, bytes, 1)
    await blobs.uploadBlob(blobMessages(bytes))
    const objects = await store.listObjects()
    const [row] = await artifact.sql<{ object_key: string }>(
      `select object_key from artifact.upload where id = '${upload.id}'`,
    )
    expect((await alice.completeUpload({ uploadId: upload.id })).blob!.digest).toBe(digestOf(bytes))
    await expect.poll(() => store.listUnfinished([row!.object_key])).toEqual([])
    expect(await store.listObjects()).toEqual(objects)
  })

  test('removes unfinished uploads and uncommitted objects of a killed process', async () => {
    const bytes = makeBytes(17 * MIB, 'left behind')
    const before = await store.listObjects()
    const upload = await startUpload(alice, bytes)
    await writePart(alice, upload, bytes, 1)
    const key = `objects/aa/aaaaaaaa-0000-4000-8000-00000000000${_kind === 'S3' ? 1 : 2}`
    await artifact.sql(
      `insert into artifact.upload (id, namespace, principal, digest, size_bytes, part_size_bytes, resumable, object_key, expire_time)
        values (gen_random_uuid(), 'default', 'alice', '${digestOf(bytes)}', 3, 16777216, false, '${key}', now() + interval '1 hour')`,
    )
    await bytesOfStore.put(key, new Part(3, shaOfAbc(), [Buffer.from('abc')]))
    const [row] = await artifact.sql<{ object_key: string }>(
      `select object_key from artifact.upload where id = '${upload.id}'`,
    )
    expect(await store.listObjects()).toHaveLength(before.length + 1)
    await artifact.sql(`update artifact.upload set expire_time = now() where state = 'OPEN'`)
    await expect.poll(() => store.listObjects()).toEqual(before)
    await expect.poll(() => store.listUnfinished([row!.object_key])).toEqual([])
    expect((await alice.getUpload({ uploadId: upload.id })).upload!.state).toBe(UploadState.EXPIRED)
    for (const call of [
      () => writePart(alice, upload, bytes, 2),
      () => alice.completeUpload({ uploadId: upload.id }),
      () => alice.abortUpload({ uploadId: upload.id }),
    ]) {
      expect(await refusalOf(call())).toMatchObject({ reason: 'UPLOAD_CLOSED', metadata: { state: 'EXPIRED' } })
    }
  })
})

function shaOfAbc(): Buffer {
  return Buffer.from('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'hex')
}
