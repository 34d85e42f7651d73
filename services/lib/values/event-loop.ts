// Long loops that yield: between two batches, the event loop handles other calls.
import { setImmediate } from 'node:timers/promises'

/** Number of items in a batch, which takes a few milliseconds. */
const BATCH = 256

/** Runs `work` for every item in order. Throws the reason of `signal` if it is aborted between two batches. */
export async function forEachYielding<T>(
  items: readonly T[],
  signal: AbortSignal | undefined,
  work: (item: T, index: number) => void,
): Promise<void> {
  for (let from = 0; from < items.length; from += BATCH) {
    if (from > 0) await yieldToEventLoop(signal)
    const until = Math.min(from + BATCH, items.length)
    for (let index = from; index < until; index += 1) work(items[index]!, index)
  }
}

/** Lets the event loop handle other work. Throws the reason of `signal` if it is aborted. */
export async function yieldToEventLoop(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate()
  signal?.throwIfAborted()
}
