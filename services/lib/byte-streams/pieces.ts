// Messages whose chunk is not in the message but beside it, in pieces that nobody has copied together.
import type { Message } from '@bufbuild/protobuf'
import { createContextKey, type HandlerContext } from '@connectrpc/connect'
import { joinPieces } from './piece-list.ts'

/** Set where a handler's answers may have their chunk in pieces. */
export const takesPiecesKey = createContextKey(false)

const NOTHING = new Uint8Array(0)
const held = new WeakMap<Message, Uint8Array[]>()

/** The message that `present` makes of a chunk, which stays in pieces where the lane of the call takes them. */
export function presentPieces<M extends Message>(
  context: HandlerContext,
  pieces: Uint8Array[],
  present: (chunk: Uint8Array) => M,
): M {
  return context.values.get(takesPiecesKey) ? holdPieces(present(NOTHING), pieces) : present(joinPieces(pieces))
}

export function holdPieces<M extends Message>(message: M, pieces: Uint8Array[]): M {
  held.set(message, pieces)
  return message
}

/** Undefined where the chunk, if there is one, is in the message itself. */
export function findPieces(message: Message): Uint8Array[] | undefined {
  return held.get(message)
}
