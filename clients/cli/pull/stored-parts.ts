// Finds the parts of a file that an earlier pull left on disk. Parts were written concurrently, each from its start, so there
// are gaps, which read as zeros.
import type { FileHandle } from 'node:fs/promises'
import { emptyProgress, type PartProgress } from './fetch-part.ts'
import type { FilePart } from './parts.ts'

const READ_BYTES = 1024 * 1024
const ZEROS = Buffer.alloc(READ_BYTES)

/** Returns the parts with the right digest, and the starts of others, which are not verified yet. */
export async function findStoredParts(
  handle: FileHandle,
  parts: FilePart[],
  present: number,
  signal: AbortSignal,
): Promise<Map<FilePart, PartProgress>> {
  const found = new Map<FilePart, PartProgress>()
  for (const part of parts) {
    const there = Math.min(part.size, present - part.offset)
    if (there <= 0) break
    const { progress, written } = await hashStored(handle, part.offset, there, signal)
    if (progress.done < there) break
    if (progress.done === part.size) {
      if (progress.hash.copy().digest().equals(part.sha256)) found.set(part, progress)
      else if (written < part.size) found.set(part, (await hashStored(handle, part.offset, written, signal)).progress)
    } else found.set(part, progress)
  }
  return found
}

/** `written`: the length up to the last byte that is not zero. */
async function hashStored(
  handle: FileHandle,
  offset: number,
  length: number,
  signal: AbortSignal,
): Promise<{ progress: PartProgress; written: number }> {
  const progress = emptyProgress()
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  let written = 0
  while (progress.done < length) {
    signal.throwIfAborted()
    const { bytesRead } = await handle.read(
      buffer,
      0,
      Math.min(READ_BYTES, length - progress.done),
      offset + progress.done,
    )
    if (bytesRead === 0) break
    const bytes = buffer.subarray(0, bytesRead)
    progress.hash.update(bytes)
    const end = endOfBytes(bytes)
    if (end > 0) written = progress.done + end
    progress.done += bytesRead
  }
  return { progress, written }
}

function endOfBytes(bytes: Buffer): number {
  if (bytes.equals(ZEROS.subarray(0, bytes.length))) return 0
  let end = bytes.length
  while (bytes[end - 1] === 0) end -= 1
  return end
}
