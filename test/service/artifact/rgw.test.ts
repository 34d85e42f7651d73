// The store on the gateway of Ceph, where it is installed: the contract is S3, not MinIO.
import { randomUUID } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { S3Store } from '../../../services/artifact/store/s3/s3-store.ts'
import { Part } from '../../../services/artifact/domain/part.ts'
import { newObjectKey } from '../../../services/artifact/store/byte-store.ts'
import { MIB, startArtifact } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes, sha256, startUpload, writePart } from '../../support/bytes.ts'
import type { S3Access } from '../../support/minio-server.ts'
import { refusalOf } from '../../support/refusal.ts'
import { createRgwStore, findRgw } from '../../support/rgw.ts'
import { describeStore, readAll, wholePart } from '../../support/store-contract.ts'

const rgw = await findRgw()
if ('missing' in rgw) {
  console.warn(`NOT TESTED on Ceph: ${rgw.missing}`)
  test.skip(`Ceph as a store: ${rgw.missing}`, () => {})
} else {
  describeStore('Ceph', () => createRgwStore(rgw.access))
  describe('Ceph', () => testS3(rgw.access))
  describe('the service on Ceph', () => testService(rgw.access))
}

function testS3(access: S3Access): void {
  test('creates a missing bucket once when replicas mark it at once', async () => {
    const bucket = `test-${newObjectKey().slice(-36)}`
    const stores = [1, 2, 3].map(() => new S3Store({ ...access, bucket }))
    const key = newObjectKey()
    const installation = randomUUID()
    await Promise.all(stores.map((store) => store.mark(installation)))
    await stores[1]!.check(installation)
    await stores[0]!.put(key, wholePart(Buffer.from('one bucket')))
    expect(String(await readAll(stores[2]!, key, 0, 10))).toBe('one bucket')
    await stores[1]!.remove(key)
    await Promise.all(stores.map((store) => store.close()))
  })

  test('rejects bytes whose digest is not the signed one', async () => {
    const place = await createRgwStore(access)
    const store = place.open()
    const bad = new Part(1000, sha256(Buffer.from('other')), [makeBytes(1000, 'signed')])
    await expect(store.put(newObjectKey(), bad)).rejects.toMatchObject({ problem: 'digest differs' })
    expect(await place.listObjects()).toEqual([])
    await place.drop()
  })

  test('accepts a part and serves a range by presigned requests', async () => {
    const place = await createRgwStore(access)
    const store = place.open()
    const { presigner } = store
    const key = newObjectKey()
    const uploadId = await store.begin(key)
    const bytes = makeBytes(5 * MIB, 'presigned')
    const request = presigner!.putPart({ key, uploadId, number: 1, length: bytes.length, sha256: sha256(bytes) })
    const put = (body: Buffer) =>
      fetch(request.url, { method: 'PUT', headers: request.headers, body: Uint8Array.from(body) })
    expect((await put(makeBytes(5 * MIB, 'others'))).status).toBe(400)
    const answer = await put(bytes)
    expect(answer.status).toBe(200)
    const etag = answer.headers.get('etag')!.replaceAll('"', '')
    await store.complete(key, uploadId, [{ number: 1, length: bytes.length, etag }])
    const { url, headers } = presigner!.get(key)
    const range = await fetch(url, { headers: { ...headers, range: 'bytes=100-199' } })
    expect(range.status).toBe(206)
    expect(Buffer.from(await range.arrayBuffer()).equals(bytes.subarray(100, 200))).toBe(true)
    await place.drop()
  })
}

async function testService(access: S3Access): Promise<void> {
  const store = await createRgwStore(access)
  const artifact = await startArtifact(store)
  afterAll(() => artifact.stop())
  const [blobs, uploads] = [artifact.client(BlobService), artifact.client(UploadService)]

  test('stores small and large blobs of one stream, and serves them', async () => {
    for (const size of [0, 1, 3 * MIB, 33 * MIB]) {
      const bytes = makeBytes(size, `ceph ${size}`)
      await blobs.uploadBlob(blobMessages(bytes))
      expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
    }
  })

  test('stores parts in any order, and serves ranges', async () => {
    const bytes = makeBytes(40 * MIB, 'ceph, in parts')
    const upload = await startUpload(uploads, bytes)
    await Promise.all([3, 1, 2].map((number) => writePart(uploads, upload, bytes, number)))
    expect((await uploads.completeUpload({ uploadId: upload.id })).blob!.digest).toBe(digestOf(bytes))
    const range = { offset: BigInt(15 * MIB), length: BigInt(2 * MIB) }
    const received = await download(blobs, { digest: digestOf(bytes), ...range })
    expect(received.equals(bytes.subarray(15 * MIB, 17 * MIB))).toBe(true)
  })

  test('reports lost parts so that a client restarts the upload', async () => {
    const bytes = makeBytes(17 * MIB, 'ceph, forgotten')
    const upload = await startUpload(uploads, bytes)
    await Promise.all([1, 2].map((number) => writePart(uploads, upload, bytes, number)))
    const [row] = await artifact.sql<{ object_key: string }>(
      `select object_key from artifact.upload where id = '${upload.id}'`,
    )
    await store.open().abort(row!.object_key, null)
    expect(await refusalOf(uploads.completeUpload({ uploadId: upload.id }))).toMatchObject({ reason: 'UPLOAD_CLOSED' })
    await blobs.uploadBlob(blobMessages(bytes))
    expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
  })

  test('removes all bytes of an aborted upload', async () => {
    const bytes = makeBytes(17 * MIB, 'ceph, aborted')
    const before = await store.listObjects()
    const upload = await startUpload(uploads, bytes)
    await writePart(uploads, upload, bytes, 1)
    await uploads.abortUpload({ uploadId: upload.id })
    const sent = makeBytes(33 * MIB, 'ceph, other')
    expect(await refusalOf(blobs.uploadBlob(blobMessages(sent, { digest: digestOf(bytes) })))).toMatchObject({
      reason: 'DIGEST_MISMATCH',
    })
    await expect.poll(() => artifact.sql('select * from artifact.doomed_object')).toEqual([])
    expect(await store.listObjects()).toEqual(before)
    const unfinished = store.client.listIncompleteUploads(store.options.bucket, '', true)
    expect(await unfinished.toArray()).toEqual([])
  })
}
