// Reads a file in chunks of one message each.
import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'

/** The chunk size, just below 1 MiB, so that the encoded message fits into a buffer of 1 MiB. */
const CHUNK_BYTES = 1024 * 1024 - 64

/** Yields a range of a file. Ends early if the file does. */
export async function* readChunks(
  handle: FileHandle,
  offset: number,
  length: number,
): AsyncGenerator<Buffer<ArrayBuffer>> {
  for (let done = 0; done < length;) {
    const buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, length - done))
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset + done)
    if (bytesRead === 0) return
    done += bytesRead
    yield bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead)
  }
}

export async function hashRange(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  const hash = createHash('sha256')
  for await (const chunk of readChunks(handle, offset, length)) hash.update(chunk)
  return hash.digest()
}
