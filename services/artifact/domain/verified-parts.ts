// Checks the bytes of a download part by part, and lets the last message of a part go only when the part is right.
import { createHash } from 'node:crypto'
import type { Range } from './range.ts'

/** Just under a power of two: the encoder doubles its buffer beyond it. */
const MESSAGE_BYTES = 1024 * 1024 - 64

export interface Parts {
  sizeBytes: number
  partSizeBytes: number
  /** 32 bytes for each part. */
  partSha256s: Buffer
}

/** The whole parts that a range touches. */
export function enclosingParts({ offset, end }: Range, { sizeBytes, partSizeBytes }: Parts): Range {
  const last = Math.ceil(end / partSizeBytes) * partSizeBytes
  return { offset: Math.floor(offset / partSizeBytes) * partSizeBytes, end: Math.min(sizeBytes, last) }
}

/** Messages with the bytes of `range`, each in pieces as they came. `source` has the bytes of `enclosingParts`. Calls `onCorrupt` where a part is not
 * what was stored, or bytes are missing. */
export async function* verifyParts(
  source: AsyncIterable<Uint8Array>,
  range: Range,
  parts: Parts,
  onCorrupt: (part: number) => never,
): AsyncGenerator<Uint8Array[]> {
  const enclosing = enclosingParts(range, parts)
  const messages = new MessageBuffer()
  let position = enclosing.offset
  let hash = createHash('sha256')
  for await (const bytes of source) {
    for (let rest = bytes; rest.length > 0;) {
      const part = Math.floor(position / parts.partSizeBytes)
      const partEnd = Math.min(parts.sizeBytes, (part + 1) * parts.partSizeBytes)
      const piece = rest.subarray(0, partEnd - position)
      hash.update(piece)
      yield* messages.add(clip(piece, position, range))
      position += piece.length
      rest = rest.subarray(piece.length)
      if (position < partEnd) continue
      if (!hash.digest().equals(parts.partSha256s.subarray(part * 32, part * 32 + 32))) onCorrupt(part + 1)
      hash = createHash('sha256')
      yield* messages.flush()
    }
  }
  if (position < enclosing.end) onCorrupt(Math.floor(position / parts.partSizeBytes) + 1)
}

function clip(piece: Uint8Array, position: number, { offset, end }: Range): Uint8Array {
  return piece.subarray(Math.max(0, offset - position), Math.max(0, end - position))
}

/** Puts pieces together to messages of a good size, and always keeps the newest back. */
class MessageBuffer {
  #pieces: Uint8Array[] = []
  #used = 0

  /** Returns the messages that became whole. */
  add(bytes: Uint8Array): Uint8Array[][] {
    const whole: Uint8Array[][] = []
    for (let rest = bytes; rest.length > 0;) {
      if (this.#used === MESSAGE_BYTES) whole.push(this.#take())
      const piece = rest.subarray(0, MESSAGE_BYTES - this.#used)
      this.#pieces.push(piece)
      this.#used += piece.length
      rest = rest.subarray(piece.length)
    }
    return whole
  }

  flush(): Uint8Array[][] {
    return this.#used > 0 ? [this.#take()] : []
  }

  #take(): Uint8Array[] {
    const message = this.#pieces
    this.#pieces = []
    this.#used = 0
    return message
  }
}
