// Time limit for the body of a call that has one request message, unary calls above all: a client that never sends it must
// not hold the call.
import type { DescMethod } from '@bufbuild/protobuf'
import { Code, ConnectError } from '@connectrpc/connect'

/** Default of the time limit in seconds. */
export const BODY_SECONDS = 30
/** A body is in time as long as it grows by this much, or ends, within each period of the limit. */
const PROGRESS_BYTES = 256 * 1024

/** Streams of requests have limits of their own, in their handlers. */
export function hasOneRequest({ methodKind }: DescMethod): boolean {
  return methodKind === 'unary' || methodKind === 'server_streaming'
}

export class BodyTimer {
  readonly #timer: NodeJS.Timeout
  #missing = PROGRESS_BYTES

  /** Calls `expire` with DEADLINE_EXCEEDED when the body is late. */
  constructor(seconds: number, expire: (late: ConnectError) => void) {
    this.#timer = setTimeout(() => expire(lateBody(seconds)), seconds * 1000)
  }

  count(bytes: number): void {
    this.#missing -= bytes
    if (this.#missing > 0) return
    this.#missing = PROGRESS_BYTES
    this.#timer.refresh()
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
  }
}

function lateBody(seconds: number): ConnectError {
  return new ConnectError(`request body did not arrive within ${seconds} seconds`, Code.DeadlineExceeded)
}

/** Passes a body on. Throws DEADLINE_EXCEEDED when it is late. */
export async function* limitBody(body: AsyncIterable<Uint8Array>, seconds: number): AsyncGenerator<Uint8Array> {
  const late = Promise.withResolvers<never>()
  late.promise.catch(() => undefined)
  using timer = new BodyTimer(seconds, late.reject)
  const pieces = body[Symbol.asyncIterator]()
  for (;;) {
    const next = pieces.next()
    // The read may lose the race, and fail when the connection is closed.
    next.catch(() => undefined)
    const piece = await Promise.race([next, late.promise])
    if (piece.done) return
    timer.count(piece.value.length)
    yield piece.value
  }
}
