// Writes by google.bytestream that are interrupted, resumed or overtaken by another upload.
import { randomUUID } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { MIB, STORES } from '../../support/artifact.ts'
import {
  beginWrite,
  blobName,
  codeOf,
  queryStatus,
  readBlob,
  startByteStream,
  uploadName,
  writeBlob,
} from '../../support/byte-stream.ts'
import { blobMessages, digestOf, startUpload, writePart } from '../../support/bytes.ts'

const PART = 16 * MIB

describe.each(STORES)('resuming writes by google.bytestream on %s', async (kind, createStore) => {
  const { artifact, client, make, stop } = await startByteStream(kind, createStore)
  afterAll(stop)

  test('completes no blob, small or large, before the client sends finish_write', async () => {
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

  test('reports the status of a stream while it is written', async () => {
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

  test('resumes a write at its committed size, at the beginning, or anywhere between', async () => {
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
      // A resource name with another UUID shows the same progress.
      expect(await queryStatus(client, uploadName(bytes))).toMatchObject({ committed: 2 * PART })
      expect(await writeBlob(client, name, bytes, { from })).toBe(bytes.length)
      expect((await readBlob(client, blobName(bytes))).equals(bytes)).toBe(true)
    }
  })

  test('rejects offsets that leave a gap', async () => {
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
  test('answers at once if the blob exists, and ends the stream when the blob appears meanwhile', async () => {
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

  test('accepts one UUID for several blobs, principals and streams at once', async () => {
    const uuid = randomUUID()
    const all = [100, 200, PART + 1, PART + 2].map((length) => make(length, `uuid ${length}`))
    const writes = all.flatMap((bytes) =>
      ['alice', 'alice', 'bob'].map((token) => writeBlob(client, uploadName(bytes, { uuid }), bytes, { token })),
    )
    const lengths = all.flatMap(({ length }) => [length, length, length])
    expect(await Promise.all(writes)).toEqual(lengths)
    for (const bytes of all) expect((await readBlob(client, blobName(bytes))).equals(bytes)).toBe(true)
  })

  test('continues an upload that UploadService began, whichever parts it has', async () => {
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
})
