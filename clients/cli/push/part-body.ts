// The bytes of one part: read and hashed once, and sent again for each retry.
import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { Semaphore } from '../transfer/concurrency.ts'
import { hashRange, readChunks } from './chunks.ts'
import type { Part } from './push-context.ts'

/** Larger parts, which blobs beyond 300 GB have, are read again for each attempt. */
const MAX_HELD_BYTES = 32 * 1024 * 1024
/** The size of a chunk in one message. */
const CHUNK_BYTES = 1024 * 1024 - 64

export interface PartBody {
  sha256: Buffer
  chunks: () => AsyncIterable<Buffer<ArrayBuffer>>
}

export async function readPart(handle: FileHandle, { offset, size }: Part, signal: AbortSignal): Promise<PartBody> {
  if (size > MAX_HELD_BYTES) {
    return { sha256: await hashRange(handle, offset, size), chunks: () => readChunks(handle, offset, size) }
  }
  const held = Buffer.allocUnsafeSlow(size)
  let done = 0
  for (let read = -1; done < size && read !== 0; done += read) {
    read = (await handle.read(held, done, size - done, offset + done)).bytesRead
  }
  const bytes = held.subarray(0, done)
  return { sha256: await hashInTurn(bytes, signal), chunks: () => splitChunks(bytes) }
}

const hashing = new Semaphore(1)

/** Hashes one part at a time, so that the first is sent while the next is hashed. Yields to the event loop after each chunk, so
 * that uploads in flight proceed. */
export function hashInTurn(bytes: Buffer, signal: AbortSignal): Promise<Buffer> {
  return hashing.run(signal, async () => {
    const hash = createHash('sha256')
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
      hash.update(bytes.subarray(at, at + CHUNK_BYTES))
      await setImmediate()
    }
    return hash.digest()
  })
}

async function* splitChunks(bytes: Buffer<ArrayBuffer>): AsyncGenerator<Buffer<ArrayBuffer>> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES)
}
