// Two replicas that both believe they own an upload: only the later one can write. The first one stops during its work,
// like a starved process, until its lease expires.
import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadState } from '#gen/modelkeep/artifact/v1/upload_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { reasonOf } from '#lib/errors/read-error.ts'
import { ByteStoreError, type ByteStore } from '../../../services/artifact/store/byte-store.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import { digestOf, download, makeBytes, startUpload, writePart } from '../../support/bytes.ts'
import { refusalOf } from '../../support/refusal.ts'
import { changed, counted } from '../../support/store-spies.ts'

describe.each(STORES)('an upload to %s with two owners', { timeout: 120_000 }, async (_kind, createStore) => {
  const store = await createStore()
  const whole = store.open()
  const counts = counted(whole)
  const artifact = await startArtifact(store, { bytes: counts.bytes })
  afterAll(async () => {
    await artifact.stop()
    await whole.close()
  })
  const alice = artifact.client(UploadService)
  const state = async (uploadId: string) => (await alice.getUpload({ uploadId })).upload!.state

  /** A replica whose call `name` to the store is paused, and runs `work` once it is resumed. */
  async function pausedIn<N extends 'complete' | 'read'>(name: N, work: ByteStore[N]) {
    const reached = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    const calls = {
      async complete(...args: Parameters<ByteStore['complete']>) {
        reached.resolve()
        await go.promise
        await (work as ByteStore['complete'])(...args)
      },
      async *read(...args: Parameters<ByteStore['read']>) {
        reached.resolve()
        await go.promise
        yield* (work as ByteStore['read'])(...args)
      },
    }
    const replica = await artifact.addReplica({ bytes: changed(counts.bytes, { [name]: calls[name] }) })
    return { replica, uploads: replica.client(UploadService), reached: reached.promise, go: go.resolve }
  }

  /** Expires the first owner's lease, so that another call takes over the upload. */
  async function takeOver(uploadId: string): Promise<void> {
    await expect
      .poll(async () => {
        await artifact.sql(`update artifact.upload set lease_until = now() where id = '${uploadId}'`)
        return outcomeOf(alice.completeUpload({ uploadId }))
      })
      .not.toBe('UPLOAD_BUSY')
  }

  async function expectCommitted(uploadId: string, bytes: Buffer): Promise<void> {
    expect(await state(uploadId)).toBe(UploadState.COMMITTED)
    const blobs = artifact.client(BlobService)
    expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
    expect(await artifact.sql(`select 1 from artifact.outbox where resource_id = '${digestOf(bytes)}'`)).toHaveLength(1)
    expect(await artifact.sql('select * from artifact.doomed_object')).toEqual([])
  }

  test.each([
    ['joins the parts late', (...args) => whole.complete(...args)],
    ['learns that the store has lost the upload', () => Promise.reject(new ByteStoreError('upload gone'))],
    ['learns that a part was replaced', () => Promise.reject(new ByteStoreError('part stale'))],
    ['cannot reach the store', () => Promise.reject(new Error('out of reach'))],
  ] as [string, ByteStore['complete']][])('rejects writes of the first owner, which %s', async (name, work) => {
    const bytes = makeBytes(18 * MIB, name)
    const first = await pausedIn('complete', work)
    const upload = await startUpload(alice, bytes)
    for (const number of [1, 2]) await writePart(alice, upload, bytes, number)
    const lost = refusalOf(first.uploads.completeUpload({ uploadId: upload.id }))
    await first.reached
    expect(await state(upload.id)).toBe(UploadState.COMPLETING)
    counts.completed.splice(0)
    await takeOver(upload.id)
    expect(counts.completed).toHaveLength(1)
    first.go()
    expect(await lost).toMatchObject({ code: 'Aborted', reason: 'UPLOAD_BUSY' })
    await expectCommitted(upload.id, bytes)
    await first.replica.stop()
  })

  test.each([
    ['the right bytes', (...args) => whole.read(...args)],
    [
      'other bytes',
      async function* (_key, _offset, length) {
        yield Buffer.alloc(length)
      },
    ],
    [
      'nothing',
      async function* () {
        yield Buffer.alloc(1)
        throw new ByteStoreError('object gone')
      },
    ],
  ] as [string, ByteStore['read']][])(
    'rejects writes of the first owner, which reads %s back late',
    async (name, work) => {
      const bytes = makeBytes(18 * MIB, `reads ${name}`)
      const first = await pausedIn('read', work)
      const upload = await startUpload(alice, bytes)
      for (const number of [1, 2]) await writePart(alice, upload, bytes, number)
      counts.completed.splice(0)
      const lost = refusalOf(first.uploads.completeUpload({ uploadId: upload.id }))
      await first.reached
      expect(await state(upload.id)).toBe(UploadState.VERIFYING)
      await takeOver(upload.id)
      expect(counts.completed).toHaveLength(1)
      first.go()
      expect(await lost).toMatchObject({ code: 'Aborted', reason: 'UPLOAD_BUSY' })
      await expectCommitted(upload.id, bytes)
      await first.replica.stop()
    },
  )

  test('cannot be aborted while its owner works, and stays aborted when a stale owner resumes', async () => {
    const bytes = makeBytes(18 * MIB, 'aborted')
    const first = await pausedIn('read', (...args) => whole.read(...args))
    const upload = await startUpload(alice, bytes)
    for (const number of [1, 2]) await writePart(alice, upload, bytes, number)
    const lost = refusalOf(first.uploads.completeUpload({ uploadId: upload.id }))
    await first.reached
    const abort = () => alice.abortUpload({ uploadId: upload.id })
    expect(await refusalOf(abort())).toMatchObject({ reason: 'UPLOAD_BUSY' })
    await artifact.sql(`update artifact.upload set lease_until = now() where id = '${upload.id}'`)
    await abort()
    await expect.poll(() => artifact.sql('select * from artifact.doomed_object')).toEqual([])
    first.go()
    expect(['UPLOAD_BUSY', 'UPLOAD_CLOSED']).toContain((await lost).reason)
    expect(await state(upload.id)).toBe(UploadState.ABORTED)
    expect(await artifact.sql(`select 1 from artifact.blob where digest = '${digestOf(bytes)}'`)).toEqual([])
    await first.replica.stop()
  })

  test('serializes a completion, the last part and an abort at the same time', async () => {
    const replica = await artifact.addReplica({ bytes: counts.bytes })
    const other = replica.client(UploadService)
    for (let round = 0; round < 4; round += 1) {
      const bytes = makeBytes(16 * MIB + 4, `at once ${round}`)
      const upload = await startUpload(alice, bytes)
      await writePart(alice, upload, bytes, 1)
      const [part, completed, again, aborted] = await Promise.all([
        outcomeOf(writePart(alice, upload, bytes, 2)),
        outcomeOf(other.completeUpload({ uploadId: upload.id })),
        outcomeOf(alice.completeUpload({ uploadId: upload.id })),
        round % 2 ? outcomeOf(other.abortUpload({ uploadId: upload.id })) : 'UPLOAD_BUSY',
      ])
      expect(['done', 'UPLOAD_CLOSED']).toContain(part)
      for (const outcome of [completed, again]) {
        expect(['done', 'PARTS_MISSING', 'UPLOAD_BUSY', 'UPLOAD_CLOSED']).toContain(outcome)
      }
      expect(['done', 'UPLOAD_BUSY', 'UPLOAD_CLOSED']).toContain(aborted)
      const ended = await state(upload.id)
      if (aborted === 'done') expect(ended).toBe(UploadState.ABORTED)
      else {
        expect((await alice.completeUpload({ uploadId: upload.id })).blob!.digest).toBe(digestOf(bytes))
        await expectCommitted(upload.id, bytes)
      }
    }
    await expect.poll(() => artifact.sql('select * from artifact.doomed_object')).toEqual([])
    const blobs = await artifact.sql('select 1 from artifact.blob')
    expect(await store.listObjects()).toHaveLength(blobs.length)
    await replica.stop()
  })
})

/** `done`, or the reason why not. */
async function outcomeOf(call: Promise<unknown>): Promise<string | undefined> {
  try {
    await call
    return 'done'
  } catch (error) {
    return reasonOf(error)?.reason
  }
}
