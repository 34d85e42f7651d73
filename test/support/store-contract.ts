// The behaviour that every kind of store must have.
import { randomUUID } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import { Chunk } from '#lib/byte-streams/chunk.ts'
import { Part } from '../../services/artifact/domain/part.ts'
import { newObjectKey, type ByteStore } from '../../services/artifact/store/byte-store.ts'
import { MIB, type TestStore } from './artifact.ts'
import { makeBytes, sha256 } from './bytes.ts'

const PART = 16 * MIB

export const wholePart = (content: Buffer): Part => new Part(content.length, sha256(content), [content])

export function describeStore(kind: string, createStore: () => Promise<TestStore>): void {
  describe(`${kind} as a store`, async () => {
    const place = await createStore()
    const store = place.open()
    await store.mark(randomUUID())
    afterAll(async () => {
      await store.close()
      await place.drop()
    })
    describe('in parts', () => testParts(kind, place, store))
    describe('a part that is still arriving', () => testComing(place, store))
    describe('aborting', () => testAborting(place, store))
    describe('whole', () => testWhole(kind, store))
  })
}

function testParts(kind: string, place: TestStore, store: ByteStore): void {
  const content = makeBytes(PART + 100, `parts of ${kind}`)
  const pieces = [content.subarray(0, PART), content.subarray(PART)]
  const put = (key: string, uploadId: string, number: number, bytes = pieces[number - 1]!) =>
    store.putPart({ key, uploadId, number, offset: (number - 1) * PART }, wholePart(bytes))
  const stored = (etags: string[]) =>
    etags.map((etag, index) => ({ number: index + 1, length: pieces[index]!.length, etag }))

  /** An unfinished object with both of its parts. */
  async function begin(): Promise<{ key: string; uploadId: string; etags: [string, string] }> {
    const key = newObjectKey()
    const uploadId = await store.begin(key)
    const second = await put(key, uploadId, 2)
    return { key, uploadId, etags: [await put(key, uploadId, 1), second] }
  }

  test('joins parts that were sent in any order into one object', async () => {
    const { key, uploadId, etags } = await begin()
    expect(await store.stat(key)).toBeUndefined()
    await store.complete(key, uploadId, stored(etags))
    expect(await store.stat(key)).toBe(content.length)
    expect((await readAll(store, key, 0, content.length)).equals(content)).toBe(true)
    expect(await place.listUnfinished([key])).toEqual([])
  })

  test('replaces a part that is sent again', async () => {
    const key = newObjectKey()
    const uploadId = await store.begin(key)
    await put(key, uploadId, 1, makeBytes(PART, 'other'))
    const etags = [await put(key, uploadId, 1), await put(key, uploadId, 2)]
    await store.complete(key, uploadId, stored(etags))
    expect((await readAll(store, key, 0, content.length)).equals(content)).toBe(true)
  })

  test('rejects a completion with a missing part, and accepts it once the part is there', async () => {
    const key = newObjectKey()
    const uploadId = await store.begin(key)
    const first = await put(key, uploadId, 1)
    const incomplete = store.complete(key, uploadId, stored([first, '0'.repeat(32)]))
    await expect(incomplete).rejects.toMatchObject({ problem: 'part stale' })
    expect(await store.stat(key)).toBeUndefined()
    await store.complete(key, uploadId, stored([first, await put(key, uploadId, 2)]))
    expect(await store.stat(key)).toBe(content.length)
  })

  test('leaves the object unchanged when it is completed or aborted again', async () => {
    const { key, uploadId, etags } = await begin()
    await store.complete(key, uploadId, stored(etags))
    // Some stores remember a completed upload, others do not.
    const again = await store.complete(key, uploadId, stored(etags)).then(
      () => 'done',
      (error: { problem?: string }) => error.problem,
    )
    expect(['done', 'upload gone']).toContain(again)
    await expect(put(key, uploadId, 2)).rejects.toMatchObject({ problem: 'upload gone' })
    await store.abort(key, uploadId)
    await store.abort(key, null)
    expect((await readAll(store, key, 0, content.length)).equals(content)).toBe(true)
  })
}

function testComing(place: TestStore, store: ByteStore): void {
  const content = makeBytes(3 * MIB, 'coming in')
  const halves = [content.subarray(0, MIB), content.subarray(MIB)]

  async function begin(announced: Buffer) {
    const key = newObjectKey()
    const uploadId = await store.begin(key)
    const part = new Part(content.length, announced)
    const etag = store.putPart({ key, uploadId, number: 1, offset: 0 }, part)
    etag.catch(() => undefined)
    return { key, uploadId, part, etag }
  }

  test('is stored once all of it has arrived', async () => {
    const { key, uploadId, part, etag } = await begin(sha256(content))
    for (const half of halves) part.append(new Chunk([half]))
    await store.complete(key, uploadId, [{ number: 1, length: content.length, etag: await etag }])
    expect((await readAll(store, key, 0, content.length)).equals(content)).toBe(true)
  })

  test('is rejected when its digest is not the announced one', async () => {
    const { key, uploadId, part, etag } = await begin(sha256(halves[0]!))
    for (const half of halves) part.append(new Chunk([half]))
    await expect(etag).rejects.toMatchObject({ problem: 'digest differs' })
    const complete = store.complete(key, uploadId, [{ number: 1, length: content.length, etag: '0'.repeat(32) }])
    await expect(complete).rejects.toMatchObject({ problem: 'part stale' })
    await store.abort(key, uploadId)
    expect(await place.listUnfinished([key])).toEqual([])
  })

  test('is not stored when its sender fails, and can be sent again', async () => {
    const { key, uploadId, part, etag } = await begin(sha256(content))
    part.append(new Chunk([halves[0]!]))
    part.abort(new Error('the client has gone'))
    await expect(etag).rejects.toThrow()
    const again = await store.putPart({ key, uploadId, number: 1, offset: 0 }, wholePart(content))
    await store.complete(key, uploadId, [{ number: 1, length: content.length, etag: again }])
    expect((await readAll(store, key, 0, content.length)).equals(content)).toBe(true)
  })
}

function testAborting(place: TestStore, store: ByteStore): void {
  test('aborts an upload twice, and one that does not exist', async () => {
    const key = newObjectKey()
    const uploadId = await store.begin(key)
    const put = () => store.putPart({ key, uploadId, number: 1, offset: 0 }, wholePart(makeBytes(100, 'part')))
    await put()
    await store.abort(key, uploadId)
    await store.abort(key, uploadId)
    await store.abort(newObjectKey(), null)
    await store.remove(newObjectKey())
    await expect(put()).rejects.toMatchObject({ problem: 'upload gone' })
    const complete = store.complete(key, uploadId, [{ number: 1, length: 100, etag: 'x' }])
    await expect(complete).rejects.toMatchObject({ problem: 'upload gone' })
    expect(await store.stat(key)).toBeUndefined()
  })

  test('aborts all uploads of a key whose ids were lost', async () => {
    const key = newObjectKey()
    await store.begin(key)
    await store.begin(key)
    expect(await place.listUnfinished([key])).toEqual([key])
    await store.abort(key, null)
    expect(await place.listUnfinished([key])).toEqual([])
  })
}

function testWhole(kind: string, store: ByteStore): void {
  test('reads a range, and stops when the signal aborts', async () => {
    const key = newObjectKey()
    const content = makeBytes(5 * MIB, kind)
    await store.put(key, wholePart(content))
    expect(await store.stat(key)).toBe(content.length)
    expect((await readAll(store, key, 100, 3 * MIB)).equals(content.subarray(100, 100 + 3 * MIB))).toBe(true)
    expect((await readAll(store, key, content.length - 1, 1)).equals(content.subarray(-1))).toBe(true)
    const stop = new AbortController()
    const stopped = async () => {
      for await (const _bytes of store.read(key, 0, content.length, stop.signal)) stop.abort()
    }
    await expect(stopped()).rejects.toThrow('aborted')
    await expect(readAll(store, newObjectKey(), 0, 1)).rejects.toMatchObject({ problem: 'object gone' })
  })

  test('stores an empty object, replaces an object, and removes it twice without error', async () => {
    const key = newObjectKey()
    await store.put(key, wholePart(Buffer.alloc(0)))
    expect(await store.stat(key)).toBe(0)
    await store.put(key, wholePart(Buffer.from('again')))
    expect(String(await readAll(store, key, 0, 5))).toBe('again')
    await store.remove(key)
    await store.remove(key)
    expect(await store.stat(key)).toBeUndefined()
  })

  test('stores many objects at once', async () => {
    const keys = Array.from({ length: 24 }, newObjectKey)
    await Promise.all(keys.map((key) => store.put(key, wholePart(Buffer.from(key)))))
    const read = await Promise.all(keys.map((key) => readAll(store, key, 0, key.length)))
    expect(read.map(String)).toEqual(keys)
  })

  test.each(['../../etc/passwd', '/etc/passwd', 'objects/ab/../../x', 'objects/ab/x', ''])(
    'rejects the key %j',
    async (key) => {
      for (const call of [
        async () => store.begin(key),
        async () => store.put(key, wholePart(Buffer.alloc(0))),
        async () => store.stat(key),
        async () => store.remove(key),
        async () => store.abort(key, null),
      ]) {
        await expect(call()).rejects.toThrow()
      }
    },
  )
}

export async function readAll(store: ByteStore, key: string, offset: number, length: number): Promise<Buffer> {
  const read: Uint8Array[] = []
  for await (const bytes of store.read(key, offset, length)) read.push(bytes)
  return Buffer.concat(read)
}
