// An upload ends early if its namespace gets the blob meanwhile, but not if another namespace has it.
import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadState } from '#gen/modelkeep/artifact/v1/upload_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import {
  blobMessages,
  chunkMessages,
  digestOf,
  makeBytes,
  partOf,
  sha256,
  startUpload,
  writePart,
} from '../../support/bytes.ts'
import { refusalOf } from '../../support/refusal.ts'
import { counted } from '../../support/store-spies.ts'

const PART = 16 * MIB

describe.each(STORES)('an upload to %s whose blob appears meanwhile', async (_kind, createStore) => {
  const store = await createStore()
  const whole = store.open()
  const counts = counted(whole)
  const artifact = await startArtifact(store, { bytes: counts.bytes, limits: { uploadLimit: 8 } })
  const replica = await artifact.addReplica({ bytes: counts.bytes })
  afterAll(async () => {
    await replica.stop()
    await artifact.stop()
    await whole.close()
  })
  const alice = artifact.client(UploadService)
  const bob = replica.client(UploadService, 'bob')
  const keyOf = async (id: string) =>
    (await artifact.sql<{ object_key: string }>(`select object_key from artifact.upload where id = '${id}'`))[0]!
      .object_key

  test('ends at the next part, without its bytes', async () => {
    const bytes = makeBytes(4 * PART, 'appears')
    const upload = await startUpload(alice, bytes)
    const key = await keyOf(upload.id)
    await writePart(alice, upload, bytes, 1)
    await replica.client(BlobService, 'bob').uploadBlob(blobMessages(bytes))
    const objects = await store.listObjects()
    let sent = 0
    const gate = Promise.withResolvers<void>()
    const part = partOf(bytes, upload, 2)
    const messages = async function* () {
      yield { message: { case: 'header' as const, value: { uploadId: upload.id, number: 2, sha256: sha256(part) } } }
      yield* chunkMessages(part, {
        onChunk: (index) => {
          sent += 1
          return index < 1 ? undefined : gate.promise
        },
      })
    }
    const answer = await alice.writePart(messages())
    gate.resolve()
    expect(answer).toMatchObject({ existed: true })
    expect(answer.part).toBeUndefined()
    expect(sent).toBeLessThan(16)
    expect((await alice.completeUpload({ uploadId: upload.id })).blob!.digest).toBe(digestOf(bytes))
    expect((await alice.getUpload({ uploadId: upload.id })).upload!.state).toBe(UploadState.COMMITTED)
    await expect.poll(() => store.listUnfinished([key])).toEqual([])
    expect(await store.listObjects()).toEqual(objects)
  })

  test('in one stream ends at the next part', async () => {
    const bytes = makeBytes(6 * PART, 'appears in the stream')
    const gate = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const client = artifact.client(BlobService)
    const first = client.uploadBlob(
      blobMessages(bytes, {
        onChunk: (index) => {
          if (index === 5) begun.resolve()
          return index < 5 ? undefined : gate.promise
        },
      }),
    )
    await begun.promise
    await replica.client(BlobService, 'bob').uploadBlob(blobMessages(bytes))
    counts.parts.splice(0)
    gate.resolve()
    expect(await first).toMatchObject({ existed: true, blob: { digest: digestOf(bytes) } })
    expect(counts.parts).toEqual([])
    await expect.poll(() => artifact.sql('select * from artifact.doomed_object')).toEqual([])
    expect(await artifact.sql('select * from artifact.upload where not resumable')).toEqual([])
  })

  test('reveals no blob of another namespace, and shares it only after all bytes were sent', async () => {
    const bytes = makeBytes(2 * PART, 'elsewhere')
    await artifact.client(BlobService).uploadBlob(blobMessages(bytes))
    const objects = await store.listObjects()
    const carol = artifact.client(UploadService, 'carol')
    const announced = { namespace: 'other', digest: digestOf(bytes), sizeBytes: BigInt(bytes.length) }
    const { result } = await carol.startUpload(announced)
    const upload = result.case === 'upload' ? result.value : expect.unreachable()
    expect(upload.parts).toEqual([])
    await writePart(carol, upload, bytes, 1)
    expect(await refusalOf(carol.completeUpload({ uploadId: upload.id }))).toMatchObject({
      reason: 'PARTS_MISSING',
      metadata: { missing: '2' },
    })
    const lied = makeBytes(PART, 'lied')
    await carol.writePart(
      (async function* () {
        yield { message: { case: 'header' as const, value: { uploadId: upload.id, number: 2, sha256: sha256(lied) } } }
        yield* chunkMessages(lied)
      })(),
    )
    expect(await refusalOf(carol.completeUpload({ uploadId: upload.id }))).toMatchObject({ reason: 'DIGEST_MISMATCH' })
    const again = await carol.startUpload(announced)
    const honest = again.result.case === 'upload' ? again.result.value : expect.unreachable()
    for (const number of [1, 2]) await writePart(carol, honest, bytes, number)
    await carol.completeUpload({ uploadId: honest.id })
    await expect.poll(() => artifact.sql('select * from artifact.doomed_object')).toEqual([])
    expect(await store.listObjects()).toEqual(objects)
  })

  test('stores a blob once that many clients send at once, in parts and streams, to two namespaces', async () => {
    const bytes = makeBytes(3 * PART + 1, 'many')
    const objects = await store.listObjects()
    const inParts = async (client: typeof alice, namespace: string) => {
      const { result } = await client.startUpload({
        namespace,
        digest: digestOf(bytes),
        sizeBytes: BigInt(bytes.length),
      })
      if (result.case !== 'upload') return result.value!.digest
      const upload = result.value
      const send = (number: number) =>
        writePart(client, upload, bytes, number).catch(async (error: unknown) => {
          // Another call of the same principal has completed the upload.
          expect((await refusalOf(Promise.reject(error as Error))).reason).toBe('UPLOAD_CLOSED')
        })
      await Promise.all([1, 2, 3, 4].map(send))
      const complete = () => client.completeUpload({ uploadId: upload.id })
      let done = await complete().catch((error: unknown) => refusalOf(Promise.reject(error as Error)))
      while ('reason' in done) {
        expect(done.reason).toBe('UPLOAD_BUSY')
        done = await complete().catch((error: unknown) => refusalOf(Promise.reject(error as Error)))
      }
      return done.blob!.digest
    }
    const inOne = async (at: typeof replica, token: string, namespace: string) =>
      (await at.client(BlobService, token).uploadBlob(blobMessages(bytes, { namespace }))).blob!.digest
    const digests = await Promise.all([
      inParts(alice, 'default'),
      inParts(bob, 'default'),
      inParts(replica.client(UploadService), 'default'),
      inParts(artifact.client(UploadService, 'carol'), 'other'),
      inOne(artifact, 'alice', 'default'),
      inOne(replica, 'bob', 'default'),
      inOne(replica, 'carol', 'other'),
    ])
    expect(new Set(digests)).toEqual(new Set([digestOf(bytes)]))
    await expect.poll(() => artifact.sql('select * from artifact.doomed_object')).toEqual([])
    expect(await store.listObjects()).toHaveLength(objects.length + 1)
    const keys = await artifact.sql<{ object_key: string }>('select object_key from artifact.upload')
    expect(await store.listUnfinished(keys.map((row) => row.object_key))).toEqual([])
    expect(await artifact.sql(`select * from artifact.outbox where resource_id = '${digestOf(bytes)}'`)).toHaveLength(2)
  })

  test('limits the unfinished uploads of a principal in a namespace, and reports the limit', async () => {
    const start = (client: typeof alice, seed: string) => startUpload(client, makeBytes(3, `bounded ${seed}`))
    const [open] = await artifact.sql<{ count: number }>(
      `select count(*)::int from artifact.upload where principal = 'alice' and state = 'OPEN'`,
    )
    const seeds = Array.from({ length: 12 }, (_, index) => String(index))
    const started = await Promise.allSettled(seeds.map((seed) => start(alice, seed)))
    const refused = started.filter((outcome) => outcome.status === 'rejected')
    expect(started.length - refused.length).toBe(8 - open!.count)
    for (const { reason } of refused) {
      expect(await refusalOf(Promise.reject(reason as Error))).toMatchObject({
        code: 'ResourceExhausted',
        reason: 'UPLOAD_LIMIT_REACHED',
        metadata: { namespace: 'default', limit: '8' },
      })
    }
    const first = started.findIndex(({ status }) => status === 'fulfilled')
    const upload = await start(alice, seeds[first]!)
    await start(artifact.client(UploadService, 'bob'), 'of bob')
    await alice.abortUpload({ uploadId: upload.id })
    await start(alice, 'room again')
  })
})
