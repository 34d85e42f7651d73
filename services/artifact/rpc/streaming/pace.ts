// Against peers that are slow without end: what they hold, others wait for.
import type { Chunk } from '#lib/byte-streams/chunk.ts'
import { fail, ModelkeepError } from '#lib/errors/errors.ts'
import { countPassed } from '../../heap.ts'
import type { ByteBudget } from '../../domain/byte-budget.ts'

export interface Pace {
  /** What is held of the bytes that came. */
  budget: ByteBudget
  /** How long a peer may be silent, or take nothing. */
  streamIdleSeconds: number
  /** What an upload must bring on average over that time. */
  uploadMinBytesPerSecond: number
}

/** Passes the chunks on. Throws STREAM_IDLE when a client sends too little for too long; only the time in which it was
 * waited for counts. */
export async function* keepPace(
  chunks: AsyncGenerator<Chunk>,
  { budget, streamIdleSeconds: seconds, uploadMinBytesPerSecond: rate }: Pace,
): AsyncGenerator<Chunk> {
  let waitedMs = 0
  let received = 0
  try {
    for (;;) {
      const began = performance.now()
      const next = await chunks.next()
      if (next.done) return
      waitedMs += performance.now() - began
      received += next.value.length
      countPassed(next.value.length, budget)
      if (waitedMs >= seconds * 1000) {
        if (received < (rate * waitedMs) / 1000) failSlow(seconds, rate)
        waitedMs = 0
        received = 0
      }
      yield next.value
    }
  } finally {
    await chunks.return(undefined)
  }
}

function failSlow(seconds: number, rate: number): never {
  const message = `fewer than ${rate} bytes a second were received for ${seconds} seconds, so the stream was ended`
  fail('STREAM_IDLE', message, { idle_seconds: String(seconds), bytes_per_second: String(rate) })
}

/** What a download holds at a time: the message that waits for the check of its part. */
const MESSAGE_BYTES = 1024 * 1024

interface Reader {
  budget: ByteBudget
  /** The principal. */
  who: string
  length: number
  streamIdleSeconds: number
  signal: AbortSignal
}

/** Passes messages on to a reader under the budget. From a reader who takes none for too long, source and room are taken
 * away at once; should it ever take the next message, that is STREAM_IDLE. */
export async function* holdForReader<T>(
  { budget, who, length, streamIdleSeconds: seconds, signal }: Reader,
  open: (signal: AbortSignal) => AsyncIterable<T>,
): AsyncGenerator<T> {
  const idle = new AbortController()
  const release = await budget.acquire(who, Math.min(length, MESSAGE_BYTES))
  const giveUp = (): void => {
    const message = `nothing was taken for ${seconds} seconds, so the stream was ended`
    idle.abort(new ModelkeepError('STREAM_IDLE', message, { idle_seconds: String(seconds) }))
    release()
  }
  let timer: NodeJS.Timeout | undefined
  try {
    for await (const message of open(AbortSignal.any([signal, idle.signal]))) {
      timer = setTimeout(giveUp, seconds * 1000)
      yield message
      clearTimeout(timer)
      idle.signal.throwIfAborted()
    }
  } finally {
    clearTimeout(timer)
    release()
  }
}
