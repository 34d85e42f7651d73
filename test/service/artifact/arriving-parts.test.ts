// Parts that are sent to the store while they arrive.
import type { IncomingMessage } from 'node:http'
import { afterAll, describe, expect, test } from 'vitest'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import type { Upload } from '#gen/modelkeep/artifact/v1/upload_pb.ts'
import { Chunk } from '#lib/byte-streams/chunk.ts'
import { Part } from '../../../services/artifact/domain/part.ts'
import { newObjectKey } from '../../../services/artifact/store/byte-store.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import { chunkMessages, makeBytes, partMessages, partOf, sha256, startUpload, writePart } from '../../support/bytes.ts'
import { startFakeS3, refuse, type FakeS3 } from '../../support/fake-s3.ts'
import { refusalOf } from '../../support/refusal.ts'
import { counted } from '../../support/store-spies.ts'

const PART = 16 * MIB
const content = makeBytes(2 * MIB, 'coming')
const halves = [content.subarray(0, MIB), content.subarray(MIB)].map((half) => new Chunk([half])) as [Chunk, Chunk]

describe('an S3 server', () => {
  function put(fake: FakeS3, announced = content) {
    const part = new Part(content.length, sha256(announced))
    const place = { key: newObjectKey(), uploadId: 'id', number: 1, offset: 0 }
    const etag = fake.store.putPart(place, part)
    etag.catch(() => undefined)
    return { part, etag }
  }
  const isProbe = ({ url }: IncomingMessage): boolean => url === '/bucket/modelkeep/probe'
  const accept: FakeS3['answer'] = (_request, response) => void response.writeHead(200, { etag: '"e"' }).end()

  test('receives the first bytes of a part before the last arrive, and all of them again after a failure', async () => {
    const fake = await startFakeS3()
    const begun = Promise.withResolvers<void>()
    const lengths: number[] = []
    fake.receive = (request) => {
      if (isProbe(request)) return
      let length = 0
      request.on('data', (bytes: Buffer) => {
        length += bytes.length
        begun.resolve()
        if (lengths.length === 0) request.socket.destroy()
      })
      request.once('close', () => lengths.push(length))
    }
    fake.answer = (request, response) => (isProbe(request) ? MISMATCH : accept)(request, response)
    const { part, etag } = put(fake)
    part.append(halves[0])
    await begun.promise
    await expect.poll(() => lengths).toHaveLength(1)
    part.append(halves[1])
    expect(await etag).toBe('e')
    expect(lengths).toEqual([expect.any(Number), content.length])
    expect(lengths[0]).toBeLessThanOrEqual(MIB)
    await fake.close()
  })

  test('that does not compare digests receives no part with another digest than announced', async () => {
    const fake = await startFakeS3()
    fake.answer = accept
    const bad = put(fake, makeBytes(1, 'other'))
    for (const half of halves) bad.part.append(half)
    await expect(bad.etag).rejects.toMatchObject({ problem: 'digest differs' })
    const good = put(fake)
    for (const half of halves) good.part.append(half)
    expect(await good.etag).toBe('e')
    expect(fake.requests.map((request) => request.split('/')[2])).toEqual(['modelkeep', 'objects'])
    await fake.close()
  })
})

const MISMATCH = refuse(400, 'XAmzContentSHA256Mismatch')

/** The messages of a part; `work` runs before the sixth chunk. */
async function* held(upload: Upload, bytes: Buffer, number: number, work: () => Promise<void> | void) {
  const part = partOf(bytes, upload, number)
  yield { message: { case: 'header' as const, value: { uploadId: upload.id, number, sha256: sha256(part) } } }
  yield* chunkMessages(part, { onChunk: (index) => (index === 5 ? work() : undefined) })
}

describe.each(STORES)('a part that goes to %s', async (kind, createStore) => {
  const store = await createStore()
  const whole = store.open()
  const counts = counted(whole)
  const artifact = await startArtifact(store, { bytes: counts.bytes })
  afterAll(async () => {
    await artifact.stop()
    await whole.close()
  })
  const alice = artifact.client(UploadService)

  test('that is cut off is discarded, and needs no reading back once it is sent again', async () => {
    const bytes = makeBytes(3 * PART, `${kind} breaks off`)
    const upload = await startUpload(alice, bytes)
    await writePart(alice, upload, bytes, 1)
    const attempts = (count: number) =>
      expect
        .poll(() => artifact.sql(`select attempts from artifact.upload where id = '${upload.id}'`))
        .toEqual([{ attempts: String(count) }])
    const cut = async (): Promise<void> => {
      await attempts(2)
      throw new Error('the line is cut')
    }
    await expect(alice.writePart(held(upload, bytes, 2, cut))).rejects.toThrow()
    await attempts(1)
    expect((await alice.getUpload({ uploadId: upload.id })).upload!.parts.map(({ number }) => number)).toEqual([1])
    for (const number of [2, 3]) await writePart(alice, upload, bytes, number)
    await alice.completeUpload({ uploadId: upload.id })
    expect(counts.reads).toEqual([])
  })

  test('with another digest than announced is rejected with both digests, and the upload stays open', async () => {
    const bytes = makeBytes(2 * PART, `${kind} differs`)
    const upload = await startUpload(alice, bytes)
    const [right, wrong] = [partOf(bytes, upload, 1), makeBytes(PART, 'wrong')]
    expect(await refusalOf(alice.writePart(partMessages(upload.id, 1, wrong, sha256(right))))).toMatchObject({
      reason: 'DIGEST_MISMATCH',
      metadata: {
        part: '1',
        expected: `sha256:${sha256(right).toString('hex')}`,
        actual: `sha256:${sha256(wrong).toString('hex')}`,
      },
    })
    for (const number of [1, 2]) await writePart(alice, upload, bytes, number)
    await alice.completeUpload({ uploadId: upload.id })
  })

  test('is answered after the parts before it arrived, so that none is read back', async () => {
    const bytes = makeBytes(3 * PART, `${kind} waits`)
    const upload = await startUpload(alice, bytes)
    counts.reads.splice(0)
    const gate = Promise.withResolvers<void>()
    const first = alice.writePart(held(upload, bytes, 1, () => gate.promise))
    const started = () => artifact.sql(`select 1 from artifact.upload where id = '${upload.id}' and attempts = 1`)
    await expect.poll(started).toHaveLength(1)
    const others = [2, 3].map((number) => writePart(alice, upload, bytes, number))
    const recorded = () => artifact.sql(`select 1 from artifact.upload_part where upload_id = '${upload.id}'`)
    await expect.poll(recorded).toHaveLength(2)
    gate.resolve()
    await Promise.all([first, ...others])
    await alice.completeUpload({ uploadId: upload.id })
    expect(counts.reads).toEqual([])
  })
})
