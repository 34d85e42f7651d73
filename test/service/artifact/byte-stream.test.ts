// google.bytestream as clients of other projects use it: a stock grpc-js client with the public proto.
import { afterAll, describe, expect, test } from 'vitest'
import { MIB, STORES } from '../../support/artifact.ts'
import {
  authorized,
  beginWrite,
  blobName,
  codeOf,
  queryStatus,
  readBlob,
  startByteStream,
  uploadName,
  writeBlob,
} from '../../support/byte-stream.ts'
import { digestOf, download } from '../../support/bytes.ts'

const PART = 16 * MIB

describe.each(STORES)('google.bytestream on %s', async (kind, createStore) => {
  const { client, blobs, make, stop } = await startByteStream(kind, createStore)
  afterAll(stop)

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

  test('takes the instance as the namespace, and ignores what follows the size', async () => {
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
  ])('rejects the name "%s"', async (form) => {
    const name = form.replace('HASH', '0'.repeat(64))
    expect(await codeOf(readBlob(client, name))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(queryStatus(client, name))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(writeBlob(client, name, make(1, 'x')))).toBe('INVALID_ARGUMENT')
  })

  test('reads ranges as the specification says', async () => {
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

  test('always serves the empty blob, and accepts writes of it', async () => {
    const empty = Buffer.alloc(0)
    expect(await readBlob(client, blobName(empty))).toHaveLength(0)
    expect(await queryStatus(client, uploadName(empty))).toEqual({ committed: 0, complete: true })
    expect(await writeBlob(client, uploadName(empty), empty)).toBe(0)
    expect((await blobs.getBlob({ digest: digestOf(empty) })).blob!.sizeBytes).toBe(0n)
    expect(await codeOf(readBlob(client, blobName(make(1, 'not empty'), { sizeBytes: 0 })))).toBe('NOT_FOUND')
  })

  test('accepts messages without data anywhere', async () => {
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

  test.each([100, PART + 100])('rejects more bytes than the %d in the resource name at once', async (length) => {
    const bytes = make(length, `too many ${length}`)
    const call = beginWrite(client)
    await call.send({ resource_name: uploadName(bytes), data: bytes.subarray(0, 100) })
    for (let offset = 100; offset < length; offset += MIB) {
      await call.send({ write_offset: offset, data: bytes.subarray(offset, Math.min(offset + MIB, length)) })
    }
    await call.send({ write_offset: length, data: Buffer.from('x') })
    expect(await codeOf(call.answer)).toBe('INVALID_ARGUMENT')
  })

  test.each([100, PART + 100])(
    'rejects %d bytes with another digest, and accepts the right ones afterwards',
    async (length) => {
      const bytes = make(length, `true ${length}`)
      const name = uploadName(bytes)
      expect(await codeOf(writeBlob(client, name, make(length, 'false')))).toBe('INVALID_ARGUMENT')
      expect(await codeOf(queryStatus(client, name))).toBe('NOT_FOUND')
      expect(await writeBlob(client, name, bytes)).toBe(length)
    },
  )

  test('accepts messages of up to 4 MiB, and rejects larger ones', async () => {
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
