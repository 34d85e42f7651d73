import { ModelkeepError } from '#lib/errors/errors.ts'
import type { ByteBudget } from '../../domain/byte-budget.ts'

/** The budget of a download: one message, which waits until its part is verified. */
const MESSAGE_BYTES = 1024 * 1024

interface Reader {
  budget: ByteBudget
  principal: string
  /** Bytes of the whole download. */
  length: number
  /** How long the client may take to accept one message. */
  streamIdleSeconds: number
  signal: AbortSignal
}

/** Passes the messages of a download on, while it holds budget for them. When the client accepts no message for too long,
 * it aborts the source and releases the budget at once, and throws STREAM_IDLE if the client ever requests another message. */
export async function* limitIdleReader<T>(
  { budget, principal, length, streamIdleSeconds: seconds, signal }: Reader,
  open: (signal: AbortSignal) => AsyncIterable<T>,
): AsyncGenerator<T> {
  const idle = new AbortController()
  const release = await budget.acquire(principal, Math.min(length, MESSAGE_BYTES))
  const expire = (): void => {
    const message = `the client accepted nothing for ${seconds} seconds; the stream was closed`
    idle.abort(new ModelkeepError('STREAM_IDLE', message, { idle_seconds: String(seconds) }))
    release()
  }
  let timer: NodeJS.Timeout | undefined
  try {
    for await (const message of open(AbortSignal.any([signal, idle.signal]))) {
      timer = setTimeout(expire, seconds * 1000)
      yield message
      clearTimeout(timer)
      idle.signal.throwIfAborted()
    }
  } finally {
    clearTimeout(timer)
    release()
  }
}
