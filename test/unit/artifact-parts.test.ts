import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { MAX_BLOB_BYTES, partCountOf, partLengthOf, partSizeOf } from '../../services/artifact/domain/blob.ts'
import { BLOCK_BYTES } from '../../services/lib/byte-streams/blocks.ts'
import { Chunk } from '../../services/lib/byte-streams/chunk.ts'
import { PieceList } from '../../services/lib/byte-streams/piece-list.ts'
import { ByteBudget } from '../../services/artifact/domain/byte-budget.ts'
import { PartBuffer } from '../../services/artifact/domain/part-buffer.ts'
import { enclosingParts, verifyParts } from '../../services/artifact/domain/verified-parts.ts'

const MIB = 1024 * 1024

test.each([
  [0, 16, 0],
  [1, 16, 1],
  [16 * MIB, 16, 1],
  [16 * MIB + 1, 16, 2],
  [9500 * 16 * MIB, 16, 9500],
  [9500 * 16 * MIB + 1, 17, 8942],
  [MAX_BLOB_BYTES, 552, 9498],
])('splits a blob of %d bytes into parts of %d MiB, %d of them', (size, partMib, count) => {
  expect(partSizeOf(size)).toBe(partMib * MIB)
  expect(partCountOf(size, partSizeOf(size))).toBe(count)
})

test('splits a blob into at most 9,500 parts whose lengths add up to its size', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: MAX_BLOB_BYTES }), (size) => {
      const partSize = partSizeOf(size)
      const count = partCountOf(size, partSize)
      expect(count).toBeLessThanOrEqual(9500)
      const last = partLengthOf(size, partSize, count)
      expect(last).toBeGreaterThan(0)
      expect((count - 1) * partSize + last).toBe(size)
    }),
  )
})

test('a part is the same however finely its bytes were cut, and uses little more memory than its bytes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 200_000 }), { maxLength: 40 }), async (lengths) => {
      const collected = new PartBuffer()
      const chunks = lengths.map((length, index) => Buffer.alloc(length, index))
      for (const chunk of chunks) collected.append(new Chunk([chunk]))
      const part = collected.finish()
      const { pieces } = await part.readAll()
      const whole = Buffer.concat(chunks)
      expect(Buffer.concat(pieces).equals(whole)).toBe(true)
      expect(part.length).toBe(whole.length)
      expect(part.sha256).toEqual(createHash('sha256').update(whole).digest())
      const held = new Set(pieces.map(({ buffer }) => buffer))
      const heldBytes = [...held].reduce((sum, { byteLength }) => sum + byteLength, 0)
      expect(heldBytes).toBeLessThan(whole.length + BLOCK_BYTES)
    }),
  )
})

test('a piece list copies small views of large buffers, so that the buffers can be collected', () => {
  const list = new PieceList()
  for (let turn = 0; turn < 100; turn += 1) list.add(Buffer.allocUnsafeSlow(MIB).subarray(0, 20_000))
  const held = new Set(list.take().map(({ buffer }) => buffer))
  expect([...held].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThan(2_000_000 + BLOCK_BYTES)
})

test('verifyParts yields any range of any parts, in chunks below 1 MiB', async () => {
  const blob = fc.integer({ min: 1, max: 3_000_000 }).chain((size) =>
    fc.record({
      size: fc.constant(size),
      partSize: fc.integer({ min: 100_000, max: 2_000_000 }),
      offset: fc.integer({ min: 0, max: size - 1 }),
      length: fc.integer({ min: 1, max: size }),
      piece: fc.integer({ min: 1000, max: 2_000_000 }),
    }),
  )
  await fc.assert(
    fc.asyncProperty(blob, async ({ size, partSize, offset, length, piece }) => {
      const { bytes, parts } = makeBlob(size, partSize)
      const range = { offset, end: Math.min(size, offset + length) }
      const messages = await collect(verifyParts(cut(bytes, enclosingParts(range, parts), piece), range, parts, fail))
      expect(Buffer.concat(messages).equals(bytes.subarray(range.offset, range.end))).toBe(true)
      expect(messages.every((message) => message.length > 0 && message.length < MIB)).toBe(true)
    }),
    { numRuns: 60 },
  )
})

test('verifyParts yields no last chunk of a bad part, wherever its bad byte is', async () => {
  for (const bad of [0, 1_200_000, 1_999_999]) {
    const { bytes, parts } = makeBlob(5_000_000, 2_000_000)
    bytes[2_000_000 + bad]! ^= 1
    const messages: Uint8Array[] = []
    const corrupt: number[] = []
    const onCorrupt = (part: number): never => {
      corrupt.push(part)
      throw new Error('corrupt')
    }
    const range = { offset: 10, end: 5_000_000 }
    const source = cut(bytes, { offset: 0, end: 5_000_000 }, 65_536)
    await expect(collect(verifyParts(source, range, parts, onCorrupt), messages)).rejects.toThrow('corrupt')
    expect(corrupt).toEqual([2])
    const received = Buffer.concat(messages).length + 10
    expect(received).toBeGreaterThanOrEqual(2_000_000)
    expect(received).toBeLessThan(4_000_000)
  }
})

test('verifyParts reports a source that ends early as corrupt', async () => {
  const { bytes, parts } = makeBlob(5_000_000, 2_000_000)
  const range = { offset: 0, end: 5_000_000 }
  const source = cut(bytes, { offset: 0, end: 4_999_999 }, 65_536)
  await expect(collect(verifyParts(source, range, parts, fail))).rejects.toThrow('part 3')
})

test('the budget queues a caller that finds no room, and rejects it after the wait', async () => {
  const budget = new ByteBudget(100, 50)
  const first = await budget.acquire('alice', 60)
  const order: string[] = []
  const large = budget.acquire('bob', 70).then((release) => (order.push('large'), release))
  const small = budget.acquire('carol', 10).then((release) => (order.push('small'), release))
  first()
  const release = await large
  await small
  expect(order).toEqual(['large', 'small'])
  await expect(budget.acquire('alice', 80)).rejects.toMatchObject({ reason: 'OVERLOADED' })
  release()
  release()
  expect(budget.used).toBe(10)
  const whole = budget.acquire('alice', 1_000)
  ;(await small)()
  ;(await whole)()
  expect(budget.used).toBe(0)
})

test('the budget gives one principal three quarters at most, and its waiting callers block no others', async () => {
  const budget = new ByteBudget(100, 50)
  const most = await budget.acquire('alice', 75)
  const more = expect(budget.acquire('alice', 1)).rejects.toMatchObject({ reason: 'OVERLOADED' })
  const others = [await budget.acquire('bob', 20), await budget.acquire('carol', 5)]
  expect(budget.used).toBe(100)
  await more
  for (const release of [most, ...others]) release()
  expect(budget.used).toBe(0)
})

function makeBlob(sizeBytes: number, partSizeBytes: number) {
  const bytes = Buffer.alloc(sizeBytes)
  for (let at = 0; at < sizeBytes; at += 997) bytes[at] = at % 251
  const hashes: Buffer[] = []
  for (let at = 0; at < sizeBytes; at += partSizeBytes) {
    hashes.push(
      createHash('sha256')
        .update(bytes.subarray(at, at + partSizeBytes))
        .digest(),
    )
  }
  return { bytes, parts: { sizeBytes, partSizeBytes, partSha256s: Buffer.concat(hashes) } }
}

async function* cut(bytes: Buffer, range: { offset: number; end: number }, piece: number) {
  for (let at = range.offset; at < range.end; at += piece) yield bytes.subarray(at, Math.min(range.end, at + piece))
}

async function collect(chunks: AsyncIterable<Chunk>, into: Uint8Array[] = []): Promise<Uint8Array[]> {
  for await (const chunk of chunks) into.push(chunk.join())
  return into
}

function fail(part: number): never {
  throw new Error(`part ${part}`)
}
