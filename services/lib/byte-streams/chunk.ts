// Bytes in transit through a process, from the wire to the store and back, in the pieces in which they arrived (see
// `PieceList`), which are not joined. A chunk is passed by value, in a message in its field of type `bytes`.
import { createContextKey, type HandlerContext } from '@connectrpc/connect'
import { recycle } from './blocks.ts'

export class Chunk {
  /** The bytes, in order. */
  readonly pieces: readonly Uint8Array[]
  /** Bytes of all pieces. */
  readonly length: number

  constructor(pieces: readonly Uint8Array[]) {
    this.pieces = pieces
    this.length = pieces.reduce((sum, { length }) => sum + length, 0)
  }

  /** The bytes from `start` to before `end`, without a copy. */
  subarray(start: number, end = this.length): Chunk {
    if (start <= 0 && end >= this.length) return this
    const pieces: Uint8Array[] = []
    let position = 0
    for (const piece of this.pieces) {
      const cut = piece.subarray(Math.max(0, start - position), Math.max(0, end - position))
      if (cut.length > 0) pieces.push(cut)
      position += piece.length
    }
    return new Chunk(pieces)
  }

  /** The bytes in one buffer: a copy, unless there is one piece only. */
  join(): Uint8Array {
    return this.pieces.length === 1 ? this.pieces[0]! : Buffer.concat(this.pieces)
  }

  /** Recycles the memory blocks of the bytes. Nobody may read them afterwards. */
  recycle(): void {
    this.pieces.forEach(recycle)
  }
}

/** True in a call that a zero-copy handler answers: its messages may carry chunks. */
export const carriesChunksKey = createContextKey(false)

/** The value for the `bytes` field of an answer: the chunk itself where the call carries chunks, one buffer elsewhere. */
export function toField(chunk: Chunk, context: HandlerContext): Uint8Array {
  return context.values.get(carriesChunksKey) ? (chunk as unknown as Uint8Array) : chunk.join()
}

/** The chunk in the `bytes` field of a message that was received, by whichever transport. */
export function fromField(value: Uint8Array | Chunk): Chunk {
  return value instanceof Chunk ? value : new Chunk([value])
}
