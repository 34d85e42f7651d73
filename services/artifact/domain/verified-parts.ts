// Verifies the bytes of a download part by part. The last message of a part is sent only after its digest proved right.
import { createHash } from 'node:crypto'
import { Chunk } from '#lib/byte-streams/chunk.ts'
import type { Range } from './range.ts'

/** The chunk size, just below a power of two: beyond it the general encoder would double its buffer. */
const MESSAGE_BYTES = 1024 * 1024 - 64

export interface Parts {
  sizeBytes: number
  partSizeBytes: number
  /** The SHA-256 of each part, 32 bytes each. */
  partSha256s: Buffer
}

/** The range of whole parts that contains `range`. */
export function enclosingParts({ offset, end }: Range, { sizeBytes, partSizeBytes }: Parts): Range {
  const last = Math.ceil(end / partSizeBytes) * partSizeBytes
  return { offset: Math.floor(offset / partSizeBytes) * partSizeBytes, end: Math.min(sizeBytes, last) }
}

/** Yields the bytes of `range` in chunks of just under 1 MiB. `source` has the bytes of `enclosingParts`. Calls `onCorrupt`,
 * which throws, with the number of a part (from 1) whose bytes are wrong or missing. */
export async function* verifyParts(
  source: AsyncIterable<Uint8Array>,
  range: Range,
  parts: Parts,
  onCorrupt: (part: number) => never,
): AsyncGenerator<Chunk> {
  const enclosing = enclosingParts(range, parts)
  const chunks = new ChunkBuffer()
  let position = enclosing.offset
  let hash = createHash('sha256')
  for await (const bytes of source) {
    for (let rest = bytes; rest.length > 0;) {
      const part = Math.floor(position / parts.partSizeBytes)
      const partEnd = Math.min(parts.sizeBytes, (part + 1) * parts.partSizeBytes)
      const piece = rest.subarray(0, partEnd - position)
      hash.update(piece)
      yield* chunks.add(clip(piece, position, range))
      position += piece.length
      rest = rest.subarray(piece.length)
      if (position < partEnd) continue
      if (!hash.digest().equals(parts.partSha256s.subarray(part * 32, part * 32 + 32))) onCorrupt(part + 1)
      hash = createHash('sha256')
      yield* chunks.flush()
    }
  }
  if (position < enclosing.end) onCorrupt(Math.floor(position / parts.partSizeBytes) + 1)
}

function clip(piece: Uint8Array, position: number, { offset, end }: Range): Uint8Array {
  return piece.subarray(Math.max(0, offset - position), Math.max(0, end - position))
}

/** Groups pieces into chunks of the size of a message, and always holds the last one back. */
class ChunkBuffer {
  #pieces: Uint8Array[] = []
  #used = 0

  /** Returns the chunks that are complete. */
  add(bytes: Uint8Array): Chunk[] {
    const complete: Chunk[] = []
    for (let rest = bytes; rest.length > 0;) {
      if (this.#used === MESSAGE_BYTES) complete.push(this.#take())
      const piece = rest.subarray(0, MESSAGE_BYTES - this.#used)
      this.#pieces.push(piece)
      this.#used += piece.length
      rest = rest.subarray(piece.length)
    }
    return complete
  }

  flush(): Chunk[] {
    return this.#used > 0 ? [this.#take()] : []
  }

  #take(): Chunk {
    const chunk = new Chunk(this.#pieces)
    this.#pieces = []
    this.#used = 0
    return chunk
  }
}
