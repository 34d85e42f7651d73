// Checks the parts of a large export in worker threads, and in the caller's thread while the workers are busy.
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { checkPart, type Part, type PartContext } from './export-part.ts'
import { unpackEvents } from '../replay/replay-event.ts'

export interface PartChecker {
  /** The number of parts that may be submitted before the result of the first is awaited. */
  maxPending: number
  check(bytes: Buffer): Promise<Part>
  close(): Promise<void>
}

/** The message in which a worker returns a part. */
export type PackedPart = Omit<Part, 'replayEvents'> & { replayEvents: string }

/** Checks parts in the caller's thread: for small exports, as threads take a while to start. */
export function checkInline(context: PartContext): PartChecker {
  return { maxPending: 0, check: async (bytes) => checkPart(bytes, context), close: async () => {} }
}

const MAX_THREADS = 4
/** Maximum number of parts pending in a thread: more than the caller checks between two turns of the event loop. */
const MAX_PENDING_IN_THREAD = 8
/** Maximum number of parts pending per caller, large enough that the caller always has a part to check itself. */
const MAX_PENDING_EACH = 4 * MAX_PENDING_IN_THREAD

/** Checks parts in threads beside the caller's, which must yield to the event loop now and then. */
export function checkInThreads(context: PartContext): PartChecker {
  const count = Math.min(MAX_THREADS, availableParallelism() - 1)
  const threads = Array.from({ length: count }, () => new PartThread(context))
  return {
    maxPending: count * MAX_PENDING_EACH,
    async check(bytes) {
      const free = threads.find(({ pending }) => pending < MAX_PENDING_IN_THREAD)
      return free ? free.check(bytes) : checkPart(bytes, context)
    },
    close: async () => void (await Promise.all(threads.map((thread) => thread.close()))),
  }
}

export class PartThread {
  readonly #worker: Worker
  readonly #results: PromiseWithResolvers<Part>[] = []
  #isReady = false

  constructor(context: PartContext) {
    this.#worker = new Worker(new URL('part-thread-worker.ts', import.meta.url), { workerData: context })
    this.#worker.on('message', (part: PackedPart | 'ready') => {
      if (part === 'ready') this.#isReady = true
      else this.#results.shift()!.resolve({ ...part, replayEvents: unpackEvents(part.replayEvents) })
    })
    this.#worker.on('error', (error) => {
      this.#isReady = false
      for (const { reject } of this.#results.splice(0)) reject(error)
    })
  }

  /** The number of submitted parts without a result; infinite until the thread has started. */
  get pending(): number {
    return this.#isReady ? this.#results.length : Infinity
  }

  check(bytes: Buffer): Promise<Part> {
    const result = Promise.withResolvers<Part>()
    // The promise may be rejected before the caller awaits it.
    result.promise.catch(() => {})
    this.#results.push(result)
    // The copy has memory of its own, which is transferred to the thread.
    const copy = Buffer.allocUnsafeSlow(bytes.length)
    copy.set(bytes)
    this.#worker.postMessage(copy, [copy.buffer])
    return result.promise
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }
}
