import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadState } from '#gen/modelkeep/artifact/v1/upload_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import {
  blobMessages,
  chunkMessages,
  digestOf,
  download,
  makeBytes,
  sha256,
  startUpload,
  writePart,
} from '../../support/bytes.ts'
import { Part } from '../../../services/artifact/domain/part.ts'
import { storeUnavailable, type ByteStore } from '../../../services/artifact/store/byte-store.ts'
import { refusalOf } from '../../support/refusal.ts'
import { changed } from '../../support/store-spies.ts'

describe.each(STORES)('races and recovery on %s', async (_kind, createStore) => {
  const store = await createStore()
  const bytesOfStore = store.open()
  const artifact = await startArtifact(store, { bytes: bytesOfStore })
  // A directory belongs to one process, and so to one object in it.
  const replica = await artifact.addReplica({ bytes: changed(bytesOfStore, {}) })
  afterAll(async () => {
    await replica.stop()
    await artifact.stop()
  })
  const alice = artifact.client(UploadService)
  const blobs = artifact.client(BlobService)

  test('the same blob from many clients at once is stored once', async () => {
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

  test('of several calls that complete one upload, one does it and the others are told', async () => {
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

  test('an upload whose completing process died can be completed again, wherever it died', async () => {
    for (const died of ['before the store put it together', 'after']) {
      const bytes = makeBytes(20 * MIB, `died ${died}`)
      const upload = await startUpload(alice, bytes)
      await Promise.all([1, 2].map((number) => writePart(alice, upload, bytes, number)))
      if (died === 'after') await putTogether(upload.id)
      await artifact.sql(
        `update artifact.upload set state = 'COMPLETING', epoch = 7, lease_until = now() + interval '1 hour'
          where id = '${upload.id}'`,
      )
      for (const call of [
        () => alice.completeUpload({ uploadId: upload.id }),
        () => alice.abortUpload({ uploadId: upload.id }),
      ]) {
        expect(await refusalOf(call())).toMatchObject({ code: 'Aborted', reason: 'UPLOAD_BUSY' })
      }
      expect(await refusalOf(writePart(alice, upload, bytes, 1))).toMatchObject({
        reason: 'UPLOAD_CLOSED',
        metadata: { state: 'COMPLETING' },
      })
      expect((await startUpload(alice, bytes)).state).toBe(UploadState.COMPLETING)
      await artifact.sql(`update artifact.upload set lease_until = now() where id = '${upload.id}'`)
      expect((await alice.completeUpload({ uploadId: upload.id })).blob!.digest).toBe(digestOf(bytes))
      expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
    }
  })

  test('an upload that lost to another one of the same blob completes with that blob, and leaves nothing', async () => {
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

  test('what a killed process left behind is swept: unfinished uploads and objects that never became blobs', async () => {
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

  test('a part that comes when the upload is completed changes nothing any more', async () => {
    const bytes = makeBytes(17 * MIB, 'late part')
    const upload = await startUpload(alice, bytes)
    await Promise.all([1, 2].map((number) => writePart(alice, upload, bytes, number)))
    const gate = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const other = makeBytes(16 * MIB, 'other bytes')
    const late = async function* () {
      const value = { uploadId: upload.id, number: 1, sha256: sha256(other) }
      yield { message: { case: 'header' as const, value } }
      begun.resolve()
      await gate.promise
      yield* chunkMessages(other)
    }
    const refusal = refusalOf(alice.writePart(late()))
    await begun.promise
    await alice.completeUpload({ uploadId: upload.id })
    gate.resolve()
    // The server may have looked at the upload at its header, while it was being completed, or at its end.
    const state = expect.stringMatching(/^(SEALING|COMPLETING|VERIFYING|COMMITTED)$/) as unknown
    expect(await refusal).toMatchObject({ reason: 'UPLOAD_CLOSED', metadata: { state } })
    expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
  })

  test('a store that was asked to put the parts together and did, but whose answer was lost, is believed', async () => {
    const bytes = makeBytes(17 * MIB, 'answer lost')
    const forgetful = changed(bytesOfStore, {
      async complete(...args: Parameters<ByteStore['complete']>) {
        await bytesOfStore.complete(...args)
        throw new Error('the answer was lost')
      },
    })
    const third = await artifact.addReplica({ bytes: forgetful })
    const client = third.client(UploadService)
    const upload = await startUpload(client, bytes)
    await Promise.all([1, 2].map((number) => writePart(client, upload, bytes, number)))
    expect((await client.completeUpload({ uploadId: upload.id })).blob!.digest).toBe(digestOf(bytes))
    await third.stop()
  })

  test('a store that fails while the upload is completed leaves it to the next call', async () => {
    const bytes = makeBytes(17 * MIB, 'failing')
    let failing = true
    const moody = changed(bytesOfStore, {
      async *read(...args: Parameters<ByteStore['read']>) {
        if (failing) throw storeUnavailable(new Error('out of order'))
        yield* bytesOfStore.read(...args)
      },
    })
    const third = await artifact.addReplica({ bytes: moody })
    const client = third.client(UploadService)
    const upload = await startUpload(client, bytes)
    // Against the order, so that the whole has to be read back.
    for (const number of [2, 1]) await writePart(client, upload, bytes, number)
    const complete = () => client.completeUpload({ uploadId: upload.id })
    expect(await refusalOf(complete())).toMatchObject({
      reason: 'DEPENDENCY_UNAVAILABLE',
      metadata: { dependency: 'store' },
    })
    failing = false
    expect((await complete()).blob!.digest).toBe(digestOf(bytes))
    await third.stop()
  })

  test('the completion goes on when the client that asked for it is gone', async () => {
    const bytes = makeBytes(17 * MIB, 'client gone')
    const gate = Promise.withResolvers<void>()
    const reading = Promise.withResolvers<void>()
    const slow = changed(bytesOfStore, {
      async *read(...args: Parameters<ByteStore['read']>) {
        reading.resolve()
        await gate.promise
        yield* bytesOfStore.read(...args)
      },
    })
    const third = await artifact.addReplica({ bytes: slow })
    const client = third.client(UploadService)
    const upload = await startUpload(client, bytes)
    // Against the order, so that the whole has to be read back.
    for (const number of [2, 1]) await writePart(client, upload, bytes, number)
    const abort = new AbortController()
    const call = client.completeUpload({ uploadId: upload.id }, { signal: abort.signal })
    await reading.promise
    abort.abort()
    expect((await refusalOf(call)).code).toBe('Canceled')
    gate.resolve()
    const state = async () => (await alice.getUpload({ uploadId: upload.id })).upload!.state
    await expect.poll(state).toBe(UploadState.COMMITTED)
    await third.stop()
  })

  test('a download that is given up stops reading from the store', async () => {
    const bytes = makeBytes(40 * MIB, 'given up')
    let ended = false
    const watched = changed(bytesOfStore, {
      async *read(...args: Parameters<ByteStore['read']>) {
        try {
          yield* bytesOfStore.read(...args)
        } finally {
          ended = true
        }
      },
    })
    const third = await artifact.addReplica({ bytes: watched })
    const client = third.client(BlobService)
    await client.uploadBlob(blobMessages(bytes))
    const abort = new AbortController()
    let received = 0
    const read = async (): Promise<void> => {
      for await (const { message } of client.downloadBlob({ digest: digestOf(bytes) }, { signal: abort.signal })) {
        if (message.case === 'chunk' && (received += 1) === 2) abort.abort()
      }
    }
    expect((await refusalOf(read())).code).toBe('Canceled')
    await expect.poll(() => ended).toBe(true)
    await third.stop()
  })

  /** What a process does that dies between the store's answer and the row. */
  async function putTogether(id: string): Promise<void> {
    const [upload] = await artifact.sql<{ object_key: string; store_upload_id: string }>(
      `select object_key, store_upload_id from artifact.upload where id = '${id}'`,
    )
    const parts = await artifact.sql<{ number: number; size_bytes: string; etag: string }>(
      `select number, size_bytes, etag from artifact.upload_part where upload_id = '${id}' order by number`,
    )
    const stored = parts.map(({ number, size_bytes, etag }) => ({ number, length: Number(size_bytes), etag }))
    await bytesOfStore.complete(upload!.object_key, upload!.store_upload_id, stored)
  }
})

function shaOfAbc(): Buffer {
  return Buffer.from('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'hex')
}
