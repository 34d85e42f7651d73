import type { Chunk } from '#lib/byte-streams/chunk.ts'
import { fail } from '#lib/errors/errors.ts'
import { countReceived } from '../../heap.ts'
import type { ByteBudget } from '../../domain/byte-budget.ts'

export interface MinRate {
  budget: ByteBudget
  /** The period over which the rate is measured. */
  streamIdleSeconds: number
  /** The average rate that an upload must reach in each period. */
  uploadMinBytesPerSecond: number
}

/** Passes the chunks of an upload on. Throws STREAM_IDLE when the client sends too slowly, so that it cannot hold memory
 * indefinitely. Only the time spent waiting for the client counts. */
export async function* enforceMinRate(
  chunks: AsyncGenerator<Chunk>,
  { budget, streamIdleSeconds: seconds, uploadMinBytesPerSecond: rate }: MinRate,
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
      countReceived(next.value.length, budget)
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
  const message = `the upload sent fewer than ${rate} bytes per second for ${seconds} seconds; the stream was closed`
  fail('STREAM_IDLE', message, { idle_seconds: String(seconds), bytes_per_second: String(rate) })
}
