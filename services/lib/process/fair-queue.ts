// A queue for slots that many callers share, such as the connections of a pool. Waiting principals are served round-robin, so
// that a principal with many calls delays mostly its own calls, and no principal holds all slots.
import { ModelkeepError } from '../errors/errors.ts'

export interface FairQueueOptions {
  /** Number of slots. */
  slots: number
  /** The longest time that a call waits for a slot. */
  maxWaitMs: number
  /** The name of the slots in the error message, for example `database connections`. */
  what: string
}

/** The share of the slots that one principal may hold at a time. */
const SHARE = 3 / 4
/** The principal of work that the service does for itself. It has no share, because other limits bound this work. */
export const SERVICE_WORK = ''

type Admit = () => void

export class FairQueue {
  readonly #options: FairQueueOptions
  readonly #share: number
  #free: number
  readonly #held = new Map<string, number>()
  /** The waiting calls of each principal, in their order. The principal that is served next comes first. */
  readonly #waiting = new Map<string, Set<Admit>>()

  constructor(options: FairQueueOptions) {
    this.#options = options
    this.#free = options.slots
    this.#share = Math.max(1, Math.floor(options.slots * SHARE))
  }

  /** Waits for a slot, and returns the function that releases it. Throws OVERLOADED after `maxWaitMs`, and the reason of
   * `signal` when it is aborted. */
  async take(principal: string, signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted()
    // If calls wait, no slot is free or their principals hold their whole shares.
    if (this.#free > 0 && this.#mayHold(principal)) this.#hold(principal)
    else await this.#wait(principal, signal)
    let isHeld = true
    return () => {
      if (isHeld) this.#release(principal)
      isHeld = false
    }
  }

  #mayHold(principal: string): boolean {
    return principal === SERVICE_WORK || (this.#held.get(principal) ?? 0) < this.#share
  }

  #hold(principal: string): void {
    this.#free -= 1
    this.#held.set(principal, (this.#held.get(principal) ?? 0) + 1)
  }

  #release(principal: string): void {
    this.#free += 1
    const held = this.#held.get(principal)! - 1
    if (held > 0) this.#held.set(principal, held)
    else this.#held.delete(principal)
    this.#admitNext()
  }

  async #wait(principal: string, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const rejectWait = (error: unknown): void => {
      // The call leaves the queue at once, so that it does not get a slot afterwards.
      this.#dequeue(principal, resolve)
      reject(error)
    }
    const { maxWaitMs, what } = this.#options
    const overloaded = (): void =>
      rejectWait(new ModelkeepError('OVERLOADED', `too many calls wait for ${what}; retry later`))
    const leave = (): void => rejectWait(signal!.reason)
    const timer = setTimeout(overloaded, maxWaitMs)
    signal?.addEventListener('abort', leave)
    this.#enqueue(principal, resolve)
    try {
      await promise
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', leave)
    }
  }

  #enqueue(principal: string, admit: Admit): void {
    const calls = this.#waiting.get(principal)
    if (calls) calls.add(admit)
    else this.#waiting.set(principal, new Set([admit]))
  }

  #dequeue(principal: string, admit: Admit): void {
    const calls = this.#waiting.get(principal)
    calls?.delete(admit)
    if (calls?.size === 0) this.#waiting.delete(principal)
  }

  /** Assigns the free slot to the first principal that may hold it, and moves that principal to the end. */
  #admitNext(): void {
    for (const [principal, calls] of this.#waiting) {
      if (!this.#mayHold(principal)) continue
      const [admit] = calls
      this.#dequeue(principal, admit!)
      this.#waiting.delete(principal)
      if (calls.size > 0) this.#waiting.set(principal, calls)
      this.#hold(principal)
      admit!()
      return
    }
  }
}
