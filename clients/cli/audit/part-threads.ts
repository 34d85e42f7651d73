// The parts of a large export are looked at by threads, while the caller reads on.
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { checkPart, type Part, type Terms } from './export-part.ts'

export interface PartChecker {
  /** How many parts it may be given before the first is awaited. */
  ahead: number
  check(bytes: Buffer): Promise<Part>
  close(): Promise<void>
}

/** Without threads, which take a while to begin. */
export function checkHere(terms: Terms): PartChecker {
  return { ahead: 0, check: async (bytes) => checkPart(bytes, terms), close: async () => {} }
}

const MOST_THREADS = 4
const AHEAD_EACH = 8

/** The caller keeps about a core busy with what remains, but not all of the time. */
export function checkInThreads(terms: Terms): PartChecker {
  const threads = Array.from({ length: Math.min(MOST_THREADS, availableParallelism()) }, () => new PartThread(terms))
  return {
    ahead: threads.length * AHEAD_EACH,
    check: (bytes) => threads.reduce((one, other) => (other.open < one.open ? other : one)).check(bytes),
    close: async () => void (await Promise.all(threads.map((thread) => thread.close()))),
  }
}

class PartThread {
  readonly #worker: Worker
  readonly #waiting: PromiseWithResolvers<Part>[] = []

  constructor(terms: Terms) {
    this.#worker = new Worker(new URL('part-thread-worker.ts', import.meta.url), { workerData: terms })
    this.#worker.on('message', (part: Part) => this.#waiting.shift()!.resolve(part))
    this.#worker.on('error', (error) => {
      for (const { reject } of this.#waiting.splice(0)) reject(error)
    })
  }

  get open(): number {
    return this.#waiting.length
  }

  check(bytes: Buffer): Promise<Part> {
    const waiting = Promise.withResolvers<Part>()
    // It may be rejected before it is awaited.
    waiting.promise.catch(() => {})
    this.#waiting.push(waiting)
    this.#worker.postMessage(bytes, [bytes.buffer as ArrayBuffer])
    return waiting.promise
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }
}
