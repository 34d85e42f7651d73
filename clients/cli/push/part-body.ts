// The bytes of one part: read and hashed once, and sent as often as it takes.
import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { Slots } from '../transfer/pool.ts'
import { hashRange, readChunks } from './chunks.ts'
import type { Part } from './sending.ts'

/** Parts of this size are held in memory; larger ones, of blobs beyond 300 GB, are read again for each try. */
const MAX_HELD_BYTES = 32 * 1024 * 1024
/** As one message may be long. */
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
  return { sha256: await hashInTurn(bytes, signal), chunks: () => cut(bytes) }
}

const hashing = new Slots(1)

/** One part after the other, so that the first can go while the next is hashed; and with pauses, in which what is on its way
 * moves. */
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

async function* cut(bytes: Buffer<ArrayBuffer>): AsyncGenerator<Buffer<ArrayBuffer>> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES)
}
