import { createHash } from 'node:crypto'
import { afterEach, expect, test, vi } from 'vitest'
import { Chunk } from '../../services/lib/byte-streams/chunk.ts'
import { Part } from '../../services/artifact/domain/part.ts'
import { RunningDigest } from '../../services/artifact/domain/running-digest.ts'

const hash = (...chunks: Uint8Array[]): Buffer => {
  const whole = createHash('sha256')
  for (const chunk of chunks) whole.update(chunk)
  return whole.digest()
}
const [one, two, three] = [1, 2, 3].map((fill) => Buffer.alloc(1_000_000, fill)) as [Buffer, Buffer, Buffer]
const arriving = (bytes: Buffer): Part => new Part(bytes.length, hash(bytes))
const wholePart = (bytes: Buffer): Part => new Part(bytes.length, hash(bytes), [bytes])

function expectPrefix(digest: RunningDigest, ...parts: Buffer[]): void {
  const prefix = digest.prefix()
  expect(prefix.sha256s).toEqual(parts.map((part) => hash(part)))
  expect(prefix.hash.digest()).toEqual(hash(...parts))
}

afterEach(() => void vi.useRealTimers())

test('hashes a stored part after an earlier part that is still arriving', async () => {
  const digest = new RunningDigest()
  const first = arriving(one)
  const release = digest.add(1, first)
  const waiting = digest.add(2, wholePart(two))(true)
  first.append(new Chunk([one.subarray(0, 600_000)]))
  expectPrefix(digest)
  first.append(new Chunk([one.subarray(600_000)]))
  await Promise.all([release(true), waiting])
  expectPrefix(digest, one, two)
})

test('discards an aborted part, and ends the wait of later parts', async () => {
  const digest = new RunningDigest()
  const first = arriving(one)
  const release = digest.add(1, first)
  const waiting = digest.add(2, wholePart(two))(true)
  first.append(new Chunk([one.subarray(0, 600_000)]))
  first.abort(new Error('gone'))
  await Promise.all([release(false), waiting])
  expectPrefix(digest)
  await digest.add(1, wholePart(one))(true)
  await digest.add(2, wholePart(two))(true)
  await digest.add(3, wholePart(three))(true)
  expectPrefix(digest, one, two, three)
})

test('limits how long a part waits for a slow earlier one', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const digest = new RunningDigest()
  const slow = arriving(one)
  const release = digest.add(1, slow)
  let isOver = false
  const waiting = digest
    .add(
      2,
      wholePart(two),
    )(true)
    .then(() => (isOver = true))
  await vi.advanceTimersByTimeAsync(9_000)
  expect(isOver).toBe(false)
  await vi.advanceTimersByTimeAsync(2_000)
  await waiting
  slow.append(new Chunk([one]))
  await release(true)
  expectPrefix(digest, one)
})

test('skips a part that arrives without the part before it', async () => {
  const digest = new RunningDigest()
  await digest.add(2, wholePart(two))(true)
  await digest.add(1, wholePart(one))(true)
  expectPrefix(digest, one)
})
