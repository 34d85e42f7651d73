// A file in messages.
import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'

/** Just under 1 MiB, so that the encoded message needs no buffer of twice the size. */
const CHUNK_BYTES = 1024 * 1024 - 64

/** A range of a file in messages; ends early where the file does. */
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
