// The parts of a large export are looked at by threads, and by the caller's own while those have enough to do.
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { checkPart, type Part, type Terms } from './export-part.ts'
import { unpack } from '../replay/judged.ts'

export interface PartChecker {
  /** How many parts it may be given before the first is awaited. */
  ahead: number
  check(bytes: Buffer): Promise<Part>
  close(): Promise<void>
}

/** What a thread answers. */
export type PackedPart = Omit<Part, 'judged'> & { judged: string }

/** Without threads, which take a while to begin. */
export function checkHere(terms: Terms): PartChecker {
  return { ahead: 0, check: async (bytes) => checkPart(bytes, terms), close: async () => {} }
}

const MOST_THREADS = 4
/** Parts: more than the caller looks at between two turns. */
const AHEAD_EACH = 8
/** So that there is always something to look at for the caller. */
const AHEAD = 4 * AHEAD_EACH

/** Threads beside the caller's, which must give them a turn now and then. */
export function checkInThreads(terms: Terms): PartChecker {
  const count = Math.min(MOST_THREADS, availableParallelism() - 1)
  const threads = Array.from({ length: count }, () => new PartThread(terms))
  return {
    ahead: count * AHEAD,
    async check(bytes) {
      const free = threads.find(({ open }) => open < AHEAD_EACH)
      return free ? free.check(bytes) : checkPart(bytes, terms)
    },
    close: async () => void (await Promise.all(threads.map((thread) => thread.close()))),
  }
}

export class PartThread {
  readonly #worker: Worker
  readonly #waiting: PromiseWithResolvers<Part>[] = []
  #hasBegun = false

  constructor(terms: Terms) {
    this.#worker = new Worker(new URL('part-thread-worker.ts', import.meta.url), { workerData: terms })
    this.#worker.on('message', (part: PackedPart | 'begun') => {
      if (part === 'begun') this.#hasBegun = true
      else this.#waiting.shift()!.resolve({ ...part, judged: unpack(part.judged) })
    })
    this.#worker.on('error', (error) => {
      this.#hasBegun = false
      for (const { reject } of this.#waiting.splice(0)) reject(error)
    })
  }

  /** How much it has to do. It takes a while to begin, and is given nothing until then. */
  get open(): number {
    return this.#hasBegun ? this.#waiting.length : Infinity
  }

  check(bytes: Buffer): Promise<Part> {
    const waiting = Promise.withResolvers<Part>()
    // It may be rejected before it is awaited.
    waiting.promise.catch(() => {})
    this.#waiting.push(waiting)
    // Memory of its own, which the thread takes over.
    const own = Buffer.allocUnsafeSlow(bytes.length)
    own.set(bytes)
    this.#worker.postMessage(own, [own.buffer])
    return waiting.promise
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }
}
