// google.bytestream as the clients of others speak it: a stock grpc-js with the public proto.
import { randomUUID } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { MIB, startArtifact, STORES } from '../../support/artifact.ts'
import {
  authorized,
  beginWrite,
  blobName,
  byteStream,
  codeOf,
  queryStatus,
  readBlob,
  uploadName,
  writeBlob,
} from '../../support/byte-stream.ts'
import { blobMessages, digestOf, download, makeBytes, startUpload, writePart } from '../../support/bytes.ts'

const PART = 16 * MIB

describe.each(STORES)('google.bytestream on %s', async (kind, createStore) => {
  const store = await createStore()
  const artifact = await startArtifact(store)
  const client = byteStream(artifact.address)
  const blobs = artifact.client(BlobService)
  afterAll(async () => {
    client.close()
    await artifact.stop()
  })
  const make = (length: number, seed: string) => makeBytes(length, `${kind} ${seed}`)

  test.each([1, 3 * MIB, PART, PART + 1, 40 * MIB + 7])('writes and reads a blob of %d bytes', async (length) => {
    const bytes = make(length, `whole ${length}`)
    const name = uploadName(bytes)
    expect(await codeOf(queryStatus(client, name))).toBe('NOT_FOUND')
    expect(await codeOf(readBlob(client, blobName(bytes)))).toBe('NOT_FOUND')
    expect(await writeBlob(client, name, bytes)).toBe(length)
    expect(await queryStatus(client, name)).toEqual({ committed: length, complete: true })
    expect((await readBlob(client, blobName(bytes))).equals(bytes)).toBe(true)
    expect((await download(blobs, { digest: digestOf(bytes) })).equals(bytes)).toBe(true)
  })

  test('the instance is the namespace, and what follows the size is nobody’s business', async () => {
    const bytes = make(100, 'named')
    const name = uploadName(bytes, { namespace: 'other', more: '/a file/of mine' })
    expect(await codeOf(writeBlob(client, name, bytes))).toBe('PERMISSION_DENIED')
    expect(await writeBlob(client, name, bytes, { token: 'carol' })).toBe(100)
    expect((await readBlob(client, blobName(bytes, { namespace: 'other' }))).equals(bytes)).toBe(true)
    expect(await codeOf(readBlob(client, blobName(bytes)))).toBe('NOT_FOUND')
    expect(await codeOf(readBlob(client, blobName(bytes), { token: 'carol' }))).toBe('PERMISSION_DENIED')
    expect(await codeOf(readBlob(client, blobName(bytes), { token: 'nobody' }))).toBe('UNAUTHENTICATED')
    expect(await codeOf(writeBlob(client, uploadName(bytes), bytes, { token: 'reader' }))).toBe('PERMISSION_DENIED')
    expect(await codeOf(queryStatus(client, uploadName(bytes), 'reader'))).toBe('PERMISSION_DENIED')
  })

  test.each([
    '',
    'blobs',
    'x/y/blobs/HASH/1',
    'UPPER/blobs/HASH/1',
    'blobs/HASH',
    'blobs/HASH/-1',
    'blobs/HASH/01',
    'blobs/HASH/9999999999999999',
    'blobs/HASH/1e3',
    'blobs/abc/1',
    'blobs/HASH/1/more',
    'compressed-blobs/zstd/HASH/1',
    'uploads/x/compressed-blobs/zstd/HASH/1',
    'uploads//blobs/HASH/1',
    'uploads/x/blobs/HASH',
  ])('a name like «%s» is refused', async (form) => {
    const name = form.replace('HASH', '0'.repeat(64))
    expect(await codeOf(readBlob(client, name))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(queryStatus(client, name))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(writeBlob(client, name, make(1, 'x')))).toBe('INVALID_ARGUMENT')
  })

  test('a range is what the specification says', async () => {
    const bytes = make(PART + 500, 'range')
    await writeBlob(client, uploadName(bytes), bytes)
    const name = blobName(bytes)
    const ranges = [
      [0, 1],
      [7, 0],
      [PART - 10, 20],
      [100, 2 * PART],
      [PART + 499, 5],
      [PART + 500, 0],
    ] as const
    for (const [offset, limit] of ranges) {
      const wanted = bytes.subarray(offset, limit === 0 ? undefined : offset + limit)
      expect((await readBlob(client, name, { offset, limit })).equals(wanted)).toBe(true)
    }
    expect(await codeOf(readBlob(client, name, { offset: -1 }))).toBe('OUT_OF_RANGE')
    expect(await codeOf(readBlob(client, name, { offset: PART + 501 }))).toBe('OUT_OF_RANGE')
    expect(await codeOf(readBlob(client, name, { limit: -1 }))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(readBlob(client, blobName(bytes, { sizeBytes: 5 })))).toBe('NOT_FOUND')
  })

  test('the empty blob is there always, and can be written all the same', async () => {
    const empty = Buffer.alloc(0)
    expect(await readBlob(client, blobName(empty))).toHaveLength(0)
    expect(await queryStatus(client, uploadName(empty))).toEqual({ committed: 0, complete: true })
    expect(await writeBlob(client, uploadName(empty), empty)).toBe(0)
    expect((await blobs.getBlob({ digest: digestOf(empty) })).blob!.sizeBytes).toBe(0n)
    expect(await codeOf(readBlob(client, blobName(make(1, 'not empty'), { sizeBytes: 0 })))).toBe('NOT_FOUND')
  })

  test('messages without data are allowed anywhere', async () => {
    const bytes = make(3, 'keep alive')
    const call = beginWrite(client)
    await call.send({ resource_name: uploadName(bytes) })
    for (const offset of [0, 1, 2]) {
      await call.send({ write_offset: offset, data: bytes.subarray(offset, offset + 1) })
      await call.send({ write_offset: offset + 1 })
    }
    await call.send({ write_offset: 3, finish_write: true })
    expect(await call.answer).toBe(3)
  })

  test('small or large, nothing is complete until the client says so', async () => {
    for (const length of [100, PART + 100]) {
      const bytes = make(length, `unfinished ${length}`)
      const name = uploadName(bytes)
      const kept = length > PART ? PART : 0
      expect(await writeBlob(client, name, bytes, { finish: false })).toBe(kept > 0 ? length : 0)
      expect(await codeOf(readBlob(client, blobName(bytes)))).toBe('NOT_FOUND')
      if (kept > 0) expect(await queryStatus(client, name)).toEqual({ committed: length, complete: false })
      expect(await writeBlob(client, name, bytes, { from: kept > 0 ? length : 0 })).toBe(length)
      expect(await queryStatus(client, name)).toEqual({ committed: length, complete: true })
    }
  })

  test('the status follows a stream that is under way', async () => {
    for (const length of [100, 2 * PART + 100]) {
      const bytes = make(length, `status ${length}`)
      const name = uploadName(bytes)
      const call = beginWrite(client)
      await call.send({ resource_name: name, data: bytes.subarray(0, 10) })
      await expect.poll(() => codeOf(queryStatus(client, name).then(String))).toContain('answered')
      expect(await queryStatus(client, name)).toEqual({ committed: 0, complete: false })
      for (let offset = 10; offset < length; offset += MIB) {
        await call.send({ write_offset: offset, data: bytes.subarray(offset, Math.min(offset + MIB, length)) })
      }
      if (length > PART) {
        await expect.poll(() => queryStatus(client, name)).toEqual({ committed: length, complete: false })
      }
      await call.send({ write_offset: length, finish_write: true })
      expect(await call.answer).toBe(length)
    }
  })

  test('a write is resumed where it stood, restarted from the beginning, or from anywhere before', async () => {
    for (const from of [2 * PART, 0, 5, PART + 3]) {
      const bytes = make(3 * PART + 9, `resumed ${from}`)
      const name = uploadName(bytes)
      const broken = beginWrite(client)
      await broken.send({ resource_name: name })
      for (let offset = 0; offset < 2 * PART + MIB; offset += MIB) {
        await broken.send({ write_offset: offset, data: bytes.subarray(offset, offset + MIB) })
      }
      await expect.poll(() => queryStatus(client, name).catch(() => undefined)).toMatchObject({ committed: 2 * PART })
      broken.cancel()
      expect(await codeOf(broken.answer)).toBe('CANCELLED')
      expect(await codeOf(writeBlob(client, name, bytes, { from: 2 * PART + 1 }))).toBe('INVALID_ARGUMENT')
      expect(await queryStatus(client, name)).toEqual({ committed: 2 * PART, complete: false })
      // Another name of the same blob knows of it, too.
      expect(await queryStatus(client, uploadName(bytes))).toMatchObject({ committed: 2 * PART })
      expect(await writeBlob(client, name, bytes, { from })).toBe(bytes.length)
      expect((await readBlob(client, blobName(bytes))).equals(bytes)).toBe(true)
    }
  })

  test('offsets that do not follow are refused', async () => {
    const bytes = make(300, 'order')
    const name = uploadName(bytes)
    const attempts = [
      [{ resource_name: name, write_offset: -1 }],
      [{ resource_name: name, write_offset: 1, data: bytes }],
      [{ write_offset: 0, data: bytes }],
      [
        { resource_name: name, data: bytes.subarray(0, 100) },
        { write_offset: 200, data: bytes.subarray(200) },
      ],
      [
        { resource_name: name, data: bytes.subarray(0, 100) },
        { write_offset: 0, data: bytes.subarray(0, 100) },
      ],
      [
        { resource_name: name, data: bytes.subarray(0, 100) },
        { write_offset: 100, resource_name: uploadName(bytes), data: bytes.subarray(100) },
      ],
      [
        { resource_name: name, data: bytes, finish_write: true },
        { write_offset: 300, data: bytes },
      ],
      [{ resource_name: name, data: bytes.subarray(0, 100), finish_write: true }],
      [],
    ]
    for (const messages of attempts) {
      const call = beginWrite(client)
      for (const message of messages) await call.send(message)
      call.end()
      expect(await codeOf(call.answer)).toBe('INVALID_ARGUMENT')
    }
    expect(await codeOf(readBlob(client, blobName(bytes)))).toBe('NOT_FOUND')
    await expect.poll(() => artifact.sql('select * from artifact.upload where not resumable')).toEqual([])
  })

  test.each([100, PART + 100])('more bytes than the %d of the name are refused at once', async (length) => {
    const bytes = make(length, `too many ${length}`)
    const call = beginWrite(client)
    await call.send({ resource_name: uploadName(bytes), data: bytes.subarray(0, 100) })
    for (let offset = 100; offset < length; offset += MIB) {
      await call.send({ write_offset: offset, data: bytes.subarray(offset, Math.min(offset + MIB, length)) })
    }
    await call.send({ write_offset: length, data: Buffer.from('x') })
    expect(await codeOf(call.answer)).toBe('INVALID_ARGUMENT')
  })

  test.each([100, PART + 100])('%d bytes of another digest are refused, and can be sent again', async (length) => {
    const bytes = make(length, `true ${length}`)
    const name = uploadName(bytes)
    expect(await codeOf(writeBlob(client, name, make(length, 'false')))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(queryStatus(client, name))).toBe('NOT_FOUND')
    expect(await writeBlob(client, name, bytes)).toBe(length)
  })

  test('what is there is success at once, and what appears in the middle ends the stream', async () => {
    const bytes = make(60 * MIB, 'early')
    const name = uploadName(bytes)
    let sent = 0
    const count = (offset: number): void => void (sent = offset)
    const appear = async (offset: number) => {
      sent = offset
      if (offset === 20 * MIB) await artifact.client(BlobService, 'bob').uploadBlob(blobMessages(bytes))
    }
    expect(await writeBlob(client, name, bytes, { onMessage: appear })).toBe(bytes.length)
    expect(await writeBlob(client, uploadName(bytes), bytes, { onMessage: count })).toBe(bytes.length)
    expect(
      await artifact.sql(`select * from artifact.upload where state = 'OPEN' and digest = '${digestOf(bytes)}'`),
    ).toEqual([])
    const shorter = blobName(bytes, { sizeBytes: 5 })
    expect(await codeOf(writeBlob(client, `uploads/${randomUUID()}/${shorter}`, bytes))).toBe('INVALID_ARGUMENT')
    expect(sent).toBeGreaterThan(0)
  })

  test('one UUID for several blobs, principals and streams at once is no obstacle', async () => {
    const uuid = randomUUID()
    const all = [100, 200, PART + 1, PART + 2].map((length) => make(length, `uuid ${length}`))
    const writes = all.flatMap((bytes) =>
      ['alice', 'alice', 'bob'].map((token) => writeBlob(client, uploadName(bytes, { uuid }), bytes, { token })),
    )
    const lengths = all.flatMap(({ length }) => [length, length, length])
    expect(await Promise.all(writes)).toEqual(lengths)
    for (const bytes of all) expect((await readBlob(client, blobName(bytes))).equals(bytes)).toBe(true)
  })

  test('it goes on with an upload that UploadService began, whatever parts have come', async () => {
    const bytes = make(3 * PART, 'mixed')
    const uploads = artifact.client(UploadService)
    const upload = await startUpload(uploads, bytes)
    await Promise.all([1, 3].map((number) => writePart(uploads, upload, bytes, number)))
    expect(await queryStatus(client, uploadName(bytes))).toEqual({ committed: PART, complete: false })
    expect(await writeBlob(client, uploadName(bytes), bytes, { from: PART, to: 2 * PART, finish: false })).toBe(
      bytes.length,
    )
    expect(await queryStatus(client, uploadName(bytes))).toEqual({ committed: bytes.length, complete: false })
    expect(await writeBlob(client, uploadName(bytes), bytes, { from: bytes.length })).toBe(bytes.length)
  })

  test('messages up to the limit of 4 MiB are taken, larger ones are not', async () => {
    const bytes = make(5 * MIB, 'messages')
    expect(await codeOf(writeBlob(client, uploadName(bytes), bytes, { chunkBytes: 5 * MIB }))).toBe(
      'RESOURCE_EXHAUSTED',
    )
    expect(await writeBlob(client, uploadName(bytes), bytes, { chunkBytes: 4 * MIB - 1024 })).toBe(bytes.length)
    const sizes: number[] = []
    const stream = client['Read']!({ resource_name: blobName(bytes) }, authorized()) as AsyncIterable<{ data: Buffer }>
    for await (const { data } of stream) sizes.push(data.length)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MIB)
  })
})
