import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadState } from '#gen/modelkeep/artifact/v1/upload_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { MIB, startWithReplica, STORES } from '../../support/artifact.ts'
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
import { storeUnavailable, type ByteStore } from '../../../services/artifact/store/byte-store.ts'
import { refusalOf } from '../../support/refusal.ts'
import { changed } from '../../support/store-spies.ts'

describe.each(STORES)('the completion of an upload on %s', async (_kind, createStore) => {
  const { bytesOfStore, artifact, stop } = await startWithReplica(createStore)
  afterAll(stop)
  const alice = artifact.client(UploadService)
  const blobs = artifact.client(BlobService)

  test('completes an upload after the completing process died, wherever it died', async () => {
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

  test('ignores a part that arrives while the upload is completed', async () => {
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
    // The service may have checked the upload at the header of the part, during the completion, or after it.
    const state = expect.stringMatching(/^(SEALING|COMPLETING|VERIFYING|COMMITTED)$/) as unknown
    expect(await refusal).toMatchObject({ reason: 'UPLOAD_CLOSED', metadata: { state } })
    expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
  })

  test('commits the blob when the store completed the object but its answer was lost', async () => {
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

  test('lets the next call complete an upload after the store failed', async () => {
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
    // The parts arrive in reverse order, so the whole has to be read back.
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

  test('continues a completion after its client has disconnected', async () => {
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
    // The parts arrive in reverse order, so the whole has to be read back.
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

  test('stops reading from the store when a download is cancelled', async () => {
    const bytes = makeBytes(40 * MIB, 'aborted')
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

  /** Completes the object without a row, like a process that dies after the answer of the store. */
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
