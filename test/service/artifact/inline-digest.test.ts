// Uploads that are read back from the store before their blob is committed, and uploads that need not be.
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { DirectService } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { UploadFailureReason, UploadState } from '#gen/modelkeep/artifact/v1/upload_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import {
  digestOf,
  download,
  makeBytes,
  partMessages,
  partOf,
  sha256,
  startUpload,
  writePart,
} from '../../support/bytes.ts'
import { refusalOf } from '../../support/refusal.ts'
import { changed, counted } from '../../support/store-spies.ts'

const PART = 16 * MIB

describe.each(STORES)('the bytes of an upload to %s', async (kind, createStore) => {
  const store = await createStore()
  const whole = store.open()
  const counts = counted(whole)
  const artifact = await startArtifact(store, { bytes: counts.bytes })
  const replica = await artifact.addReplica({ bytes: counts.bytes })
  afterAll(async () => {
    await replica.stop()
    await artifact.stop()
    await whole.close()
  })
  const alice = artifact.client(UploadService)
  const other = replica.client(UploadService)
  const blobs = artifact.client(BlobService)
  beforeEach(() => void counts.reads.splice(0))

  async function send(bytes: Buffer, order: number[], client = alice) {
    const upload = await startUpload(client, bytes)
    for (const number of order) await writePart(client, upload, bytes, number)
    return upload
  }

  async function expectBlob(bytes: Buffer): Promise<void> {
    const count = Math.ceil(bytes.length / PART)
    const { blob } = await blobs.getBlob({ digest: digestOf(bytes) })
    const expected = Array.from({ length: count }, (_, index) =>
      sha256(bytes.subarray(index * PART, (index + 1) * PART)),
    )
    expect(blob!.partSha256s.map((hash) => Buffer.from(hash))).toEqual(expected)
    expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
  }

  test('are not read back when one process received the parts in order', async () => {
    const bytes = makeBytes(3 * PART + 5, 'in order')
    const upload = await send(bytes, [1, 2, 3, 4])
    await alice.completeUpload({ uploadId: upload.id })
    expect(counts.reads).toEqual([])
    await expectBlob(bytes)
  })

  test('are not read back when parts that are being received overtake each other', async () => {
    const bytes = makeBytes(4 * PART, 'overtaking')
    const upload = await startUpload(alice, bytes)
    const first = Promise.withResolvers<void>()
    const late = partMessages(upload.id, 1, partOf(bytes, upload, 1))
    const slow = changed(counts.bytes, {
      async putPart(place, part) {
        if (place.number > 1) await first.promise
        return counts.bytes.putPart(place, part)
      },
    })
    const third = await artifact.addReplica({ bytes: slow })
    const client = third.client(UploadService)
    const others = [3, 4, 2].map((number) => writePart(client, upload, bytes, number))
    const attempts = () => artifact.sql(`select 1 from artifact.upload where id = '${upload.id}' and attempts = 3`)
    await expect.poll(attempts).toHaveLength(1)
    await client.writePart(late)
    first.resolve()
    await Promise.all(others)
    await client.completeUpload({ uploadId: upload.id })
    expect(counts.reads).toEqual([])
    await expectBlob(bytes)
    await third.stop()
  })

  test('are not read back when they are one part, whichever process completes the upload', async () => {
    const bytes = makeBytes(5 * MIB, 'one part')
    const upload = await send(bytes, [1])
    await other.completeUpload({ uploadId: upload.id })
    expect(counts.reads).toEqual([])
    await expectBlob(bytes)
  })

  test('are read back from the first part that was not hashed on arrival', async () => {
    const bytes = makeBytes(5 * PART + 1, 'left out')
    const upload = await send(bytes, [1, 2, 4, 3, 5, 6])
    await alice.completeUpload({ uploadId: upload.id })
    expect(counts.reads).toEqual([[3 * PART, bytes.length]])
    await expectBlob(bytes)
  })

  test('are read back when another process completes the upload', async () => {
    const bytes = makeBytes(2 * PART, 'elsewhere')
    const upload = await send(bytes, [1, 2])
    await other.completeUpload({ uploadId: upload.id })
    expect(counts.reads).toEqual([[0, bytes.length]])
    await expectBlob(bytes)
  })

  test('are read back from the part that another process received', async () => {
    const bytes = makeBytes(3 * PART, 'two processes')
    const upload = await send(bytes, [1])
    await writePart(other, upload, bytes, 2)
    await writePart(alice, upload, bytes, 3)
    await alice.completeUpload({ uploadId: upload.id })
    expect(counts.reads).toEqual([[PART, bytes.length]])
    await expectBlob(bytes)
  })

  test.each(['the same bytes', 'other bytes'])('are read back when a part was sent again with %s', async (what) => {
    for (const client of [alice, other]) {
      const bytes = makeBytes(2 * PART, `again ${what} ${client === alice}`)
      const upload = await startUpload(alice, bytes)
      const first = what === 'the same bytes' ? partOf(bytes, upload, 1) : makeBytes(PART, 'other bytes')
      await client.writePart(partMessages(upload.id, 1, first))
      await writePart(alice, upload, bytes, 1)
      await writePart(alice, upload, bytes, 2)
      await alice.completeUpload({ uploadId: upload.id })
      expect(counts.reads).toContainEqual([0, bytes.length])
      await expectBlob(bytes)
    }
  })

  test('with a digest other than declared are rejected, before the store completes them if all parts were hashed', async () => {
    for (const order of [
      [1, 2],
      [2, 1],
    ]) {
      const sent = makeBytes(2 * PART, `sent ${order[0]}`)
      const digest = digestOf(makeBytes(3, `announced ${order[0]}`))
      const { result } = await alice.startUpload({ digest, sizeBytes: BigInt(sent.length) })
      const upload = result.case === 'upload' ? result.value : expect.unreachable()
      for (const number of order) await writePart(alice, upload, sent, number)
      counts.completed.splice(0)
      expect(await refusalOf(alice.completeUpload({ uploadId: upload.id }))).toMatchObject({
        reason: 'DIGEST_MISMATCH',
        metadata: { expected: digest, actual: digestOf(sent) },
      })
      expect(counts.completed).toHaveLength(order[0] === 1 ? 0 : 1)
    }
  })

  test('are rejected when the store changed a part, and the error has its number', async () => {
    const bytes = makeBytes(3 * PART, 'changed by the store')
    const upload = await send(bytes, [3, 2, 1])
    const flipping = changed(counts.bytes, {
      async *read(key, offset, length, signal) {
        let position = offset
        for await (const chunk of counts.bytes.read(key, offset, length, signal)) {
          const at = PART + 7 - position
          if (at >= 0 && at < chunk.length) chunk[at]! ^= 1
          position += chunk.length
          yield chunk
        }
      },
    })
    const third = await artifact.addReplica({ bytes: flipping })
    expect(await refusalOf(third.client(UploadService).completeUpload({ uploadId: upload.id }))).toMatchObject({
      code: 'InvalidArgument',
      reason: 'DIGEST_MISMATCH',
      metadata: { expected: digestOf(bytes), part: '2' },
    })
    expect((await alice.getUpload({ uploadId: upload.id })).upload).toMatchObject({
      state: UploadState.FAILED,
      failure: {
        reason: UploadFailureReason.DIGEST_MISMATCH,
        partNumber: 2,
        message: expect.stringContaining('part 2'),
      },
    })
    expect(await refusalOf(writePart(alice, upload, bytes, 1))).toMatchObject({
      reason: 'UPLOAD_CLOSED',
      metadata: { state: 'FAILED', failure: 'DIGEST_MISMATCH' },
    })
    await third.stop()
  })

  test('are usually not read back when a client always sends four parts in parallel', async () => {
    const read: number[] = []
    for (const round of [1, 2, 3]) {
      const bytes = makeBytes(12 * PART, `four at once ${round}`)
      const upload = await startUpload(alice, bytes)
      const numbers = Array.from({ length: 12 }, (_, index) => index + 1).values()
      const worker = async () => {
        for (const number of numbers) await writePart(alice, upload, bytes, number)
      }
      await Promise.all([worker(), worker(), worker(), worker()])
      counts.reads.splice(0)
      await alice.completeUpload({ uploadId: upload.id })
      read.push(counts.reads.length)
    }
    expect(read).toContain(0)
  })

  test.skipIf(kind !== 'S3')('are read back when parts may have been sent directly to the store', async () => {
    const wanted = makeBytes(MIB, 'wanted')
    const direct = artifact.client(DirectService)
    const { result } = await alice.startUpload({ digest: digestOf(wanted), sizeBytes: BigInt(MIB) })
    const upload = result.case === 'upload' ? result.value : expect.unreachable()
    const wrong = makeBytes(MIB, 'other')
    await writePart(alice, upload, wrong, 1)
    const [row] = await artifact.sql<{ etag: string }>(
      `select etag from artifact.upload_part where upload_id = '${upload.id}'`,
    )
    const lie = { number: 1, sha256: sha256(wanted), etag: row!.etag, sizeBytes: BigInt(MIB) }
    await direct.confirmParts({ uploadId: upload.id, parts: [lie] })
    expect(await refusalOf(alice.completeUpload({ uploadId: upload.id }))).toMatchObject({
      reason: 'DIGEST_MISMATCH',
      metadata: { actual: digestOf(wrong) },
    })
    // Wrong bytes are read twice: the first read may have been damaged on its way.
    expect(counts.reads).toEqual([
      [0, MIB],
      [0, MIB],
    ])
  })
})
