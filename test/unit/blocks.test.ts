import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { BLOCK_BYTES, lend, recycle, seal, takeBlock } from '../../services/lib/byte-streams/blocks.ts'
import { PieceList } from '../../services/lib/byte-streams/piece-list.ts'

test('returns a block to the pool when it is sealed and all of its lent bytes are recycled', () => {
  const block = takeBlock()
  const first = lend(block, 0, 1000)
  recycle(first)
  const rest = lend(block, 1000, BLOCK_BYTES)
  seal(block)
  const other = takeBlock()
  expect(other).not.toBe(block)
  recycle(rest.subarray(0, 10))
  recycle(rest.subarray(10))
  expect(takeBlock()).toBe(block)
})

test('ignores bytes that were not lent, and bytes that are recycled twice', () => {
  recycle(new Uint8Array(10))
  const block = takeBlock()
  const bytes = lend(block, 0, BLOCK_BYTES)
  seal(block)
  recycle(bytes)
  recycle(bytes)
  expect(takeBlock()).toBe(block)
  expect(takeBlock()).not.toBe(block)
})

test('leaves the bytes of a list as they are while bytes of other lists are recycled', () => {
  const step = fc.record({
    list: fc.integer({ min: 0, max: 2 }),
    length: fc.integer({ min: 1, max: 100_000 }),
    take: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const lists = [0, 1, 2].map(() => ({ list: new PieceList(64 * 1024), expected: [] as Buffer[] }))
      steps.forEach(({ list: index, length, take }, stamp) => {
        const { list, expected } = lists[index]!
        const bytes = Buffer.alloc(length, stamp + 1)
        list.add(bytes)
        expected.push(bytes)
        if (!take) return
        const pieces = list.take()
        expect(Buffer.concat(pieces).equals(Buffer.concat(expected.splice(0)))).toBe(true)
        pieces.forEach(recycle)
      })
      for (const { list, expected } of lists)
        expect(Buffer.concat(list.take()).equals(Buffer.concat(expected))).toBe(true)
    }),
  )
})
