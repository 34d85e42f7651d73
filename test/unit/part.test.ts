import * as fc from 'fast-check'
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { Chunk, fromField } from '../../services/lib/byte-streams/chunk.ts'
import { Part } from '../../services/artifact/domain/part.ts'

const MIB = 1024 * 1024
const bytes = Buffer.from(Array.from({ length: 3 * MIB }, (_, index) => index % 251))
const sha256 = createHash('sha256').update(bytes).digest()
const chunkAt = (from: number, to: number): Chunk => new Chunk([bytes.subarray(from, to)])

async function collect(part: Part): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const chunk of part.read()) pieces.push(...chunk.pieces)
  return Buffer.concat(pieces)
}

test('gives every reader all bytes, whether it begins before, during or after the arrival', async () => {
  const part = new Part(bytes.length, sha256)
  const early = collect(part)
  part.append(chunkAt(0, MIB))
  await new Promise(setImmediate)
  const middle = collect(part)
  for (let from = MIB; from < bytes.length; from += 10_000) {
    part.append(chunkAt(from, Math.min(from + 10_000, bytes.length)))
  }
  expect(part.isComplete).toBe(true)
  for (const read of [early, middle, collect(part), part.readAll().then((chunk) => chunk.join())]) {
    expect(bytes.equals(await read)).toBe(true)
  }
})

test('aborts the writer and all readers with the first reason', async () => {
  const part = new Part(bytes.length, sha256)
  const reads = [collect(part), part.readAll()].map((read) => expect(read).rejects.toThrow('the client disconnected'))
  part.append(chunkAt(0, MIB))
  part.abort(new Error('the client disconnected'))
  part.abort(new Error('the store failed'))
  await Promise.all(reads)
  expect(() => part.append(chunkAt(MIB, 2 * MIB))).toThrow('the client disconnected')
})

test('cannot be read after its memory was recycled', async () => {
  const part = new Part(bytes.length, sha256, [bytes])
  expect(bytes.equals(await collect(part))).toBe(true)
  part.recycle()
  await expect(collect(part)).rejects.toThrow('recycled')
  await expect(part.readAll()).rejects.toThrow('recycled')
})

test('a chunk in pieces equals its bytes, and any range of it shares its memory', () => {
  const cuts = fc.array(fc.integer({ min: 0, max: 1000 }), { maxLength: 8 })
  const position = fc.integer({ min: 0, max: 1000 })
  fc.assert(
    fc.property(cuts, position, position, (positions, start, end) => {
      const ends = [...positions.toSorted((left, right) => left - right), 1000]
      const chunk = new Chunk(ends.map((to, index) => bytes.subarray(ends[index - 1] ?? 0, to)))
      expect(chunk.length).toBe(1000)
      expect(bytes.subarray(0, 1000).equals(chunk.join())).toBe(true)
      const range = chunk.subarray(start, end)
      expect(bytes.subarray(start, end).equals(range.join())).toBe(true)
      expect(range.pieces.every(({ buffer }) => buffer === bytes.buffer)).toBe(true)
    }),
  )
})

test('a field holds a chunk or plain bytes', () => {
  const chunk = chunkAt(0, 10)
  expect(fromField(chunk as never)).toBe(chunk)
  expect(fromField(bytes).pieces).toEqual([bytes])
})
