import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { Part } from '../../../services/artifact/domain/part.ts'
import { newObjectKey } from '../../../services/artifact/store/byte-store.ts'
import { DirectoryStore } from '../../../services/artifact/store/directory/directory-store.ts'
import { S3Store } from '../../../services/artifact/store/s3/s3-store.ts'
import { MIB, startArtifact, STORES, type TestStore } from '../../support/artifact.ts'
import { blobMessages, digestOf, download, makeBytes, sha256, startUpload, writePart } from '../../support/bytes.ts'
import { refuse, startFakeS3 } from '../../support/fake-s3.ts'
import { createBucket } from '../../support/minio.ts'
import { refusalOf } from '../../support/refusal.ts'
import { describeStore, wholePart } from '../../support/store-contract.ts'

for (const [kind, createStore] of STORES) describeStore(kind, createStore)

describe('a failing S3 server', () => {
  test('is reported as unavailable when it cannot be reached, and the service as unhealthy', async () => {
    const options = {
      endpoint: 'http://127.0.0.1:1',
      bucket: 'bucket',
      region: 'us-east-1',
      accessKey: 'a',
      secretKey: 'b',
    }
    const bucket = await createBucket()
    const working = new S3Store(bucket.options)
    const artifact = await startArtifact(emptyStore(() => working))
    const cut = await artifact.addReplica({ bytes: new S3Store(options) })
    const bytes = makeBytes(17 * MIB, 'unreachable')
    await artifact.client(BlobService).uploadBlob(blobMessages(bytes))
    const [blobs, uploads] = [cut.client(BlobService), cut.client(UploadService)]
    const other = makeBytes(3, 'other')
    for (const call of [
      () => blobs.uploadBlob(blobMessages(other)),
      () => startUpload(uploads, other),
      () => download(blobs, { digest: digestOf(bytes) }),
    ]) {
      expect(await refusalOf(call())).toMatchObject({
        code: 'Unavailable',
        reason: 'DEPENDENCY_UNAVAILABLE',
        metadata: { dependency: 'store' },
      })
    }
    expect((await fetch(`${cut.address}/healthz`)).status).toBe(503)
    expect((await fetch(`${artifact.address}/healthz`)).status).toBe(200)
    await cut.stop()
    await artifact.stop()
    await bucket.drop()
  })

  test.each([
    [507, 'XMinioStorageFull', 'STORE_FULL'],
    [403, 'QuotaExceeded', 'STORE_FULL'],
    [403, 'AccessDenied', 'DEPENDENCY_UNAVAILABLE'],
    [404, 'NoSuchBucket', 'DEPENDENCY_UNAVAILABLE'],
    [503, 'SlowDown', 'DEPENDENCY_UNAVAILABLE'],
  ])('that answers %d %s is reported as %s', async (status, code, reason) => {
    const fake = await startFakeS3()
    fake.answer = refuse(status, code)
    await expect(fake.store.put(newObjectKey(), wholePart(Buffer.from('x')))).rejects.toMatchObject({ reason })
    await fake.close()
  })

  test('receives a part again after a lost connection and after an overload', async () => {
    const fake = await startFakeS3()
    const answers: (typeof fake.answer)[] = [
      (request) => request.socket.destroy(),
      refuse(503, 'SlowDown'),
      (_request, response) => response.writeHead(200, { etag: '"e"' }).end(),
    ]
    fake.answer = (request, response) => answers.shift()!(request, response)
    const content = makeBytes(200_000, 'again')
    const chunks = [content.subarray(0, 100_000), content.subarray(100_000)]
    const part = new Part(content.length, sha256(content), chunks)
    const place = { key: newObjectKey(), uploadId: 'id', number: 2, offset: 0 }
    expect(await fake.store.putPart(place, part)).toBe('e')
    expect(fake.requests).toHaveLength(3)
    await fake.close()
  })

  test('never receives the same completion twice', async () => {
    const fake = await startFakeS3()
    fake.answer = (request) => request.socket.destroy()
    const complete = fake.store.complete(newObjectKey(), 'id', [{ number: 1, length: 3, etag: 'e' }])
    await expect(complete).rejects.toMatchObject({ reason: 'DEPENDENCY_UNAVAILABLE' })
    expect(fake.requests).toHaveLength(1)
    await fake.close()
  })

  test('rejects bytes whose digest is not the signed one', async () => {
    const bucket = await createBucket()
    const store = new S3Store(bucket.options)
    const key = newObjectKey()
    const content = makeBytes(1000, 'signed')
    const bad = new Part(content.length, sha256(Buffer.from('other')), [content])
    await expect(store.put(key, bad)).rejects.toMatchObject({ problem: 'digest differs' })
    expect(await bucket.listObjects()).toEqual([])
    await bucket.drop()
  })

  test('gets a missing bucket when replicas mark it at once', async () => {
    const known = await createBucket()
    const bucket = `${known.options.bucket.slice(0, 40)}-new`
    const stores = [1, 2, 3].map(() => new S3Store({ ...known.options, bucket }))
    const installation = randomUUID()
    await Promise.all(stores.map((store) => store.mark(installation)))
    await Promise.all(stores.map((store) => store.put(newObjectKey(), wholePart(Buffer.from('x')))))
    expect(await known.client.bucketExists(bucket)).toBe(true)
    await known.drop()
  })
})

describe('a full directory', () => {
  test('rejects writes, leaves no partial files, and accepts writes again when there is room', async ({ skip }) => {
    const root = await mkdtemp(join(tmpdir(), 'modelkeep-small-'))
    if (!mountSmall(root)) skip('only an administrator can mount a small file system')
    const artifact = await startArtifact(emptyStore(() => new DirectoryStore(root)))
    try {
      const [blobs, uploads] = [artifact.client(BlobService), artifact.client(UploadService)]
      const full = { code: 'ResourceExhausted', reason: 'STORE_FULL' }
      for (const size of [15, 40]) {
        await writeFile(join(root, 'filler'), Buffer.alloc(12 * MIB))
        expect(await refusalOf(blobs.uploadBlob(blobMessages(makeBytes(size * MIB, 'full'))))).toMatchObject(full)
        await expect.poll(() => readdir(join(root, 'unfinished'))).toEqual([])
      }
      const bytes = makeBytes(15 * MIB, 'resumed when there is room')
      const upload = await startUpload(uploads, bytes)
      expect(await refusalOf(writePart(uploads, upload, bytes, 1))).toMatchObject(full)
      await rm(join(root, 'filler'))
      await writePart(uploads, upload, bytes, 1)
      await uploads.completeUpload({ uploadId: upload.id })
      expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
    } finally {
      await artifact.stop()
      execFileSync('umount', [root])
      await rm(root, { recursive: true })
    }
  })
})

function mountSmall(folder: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', folder], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** A store that the test sets up and removes itself. */
function emptyStore(open: TestStore['open']): TestStore {
  const none = async () => []
  return { open, listObjects: none, listUnfinished: none, overwrite: async () => {}, drop: async () => {} }
}
