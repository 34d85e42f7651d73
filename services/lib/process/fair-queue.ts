// Places that many callers share, such as the connections of a pool. Principals who wait get their turns in a circle, so that
// one with many calls delays mostly its own, and none of them holds all places.
import { ModelkeepError } from '../errors/errors.ts'

export interface FairQueueOptions {
  /** Number of places. */
  places: number
  /** How long a call waits for its turn. */
  maxWaitMs: number
  /** What is short, for the error message, for example `database connections`. */
  what: string
}

/** The part of the places that one principal may hold at a time. */
const SHARE = 3 / 4
/** The name under which a service waits for itself. It has no share, because its work is bounded by other means. */
export const OWN_WORK = ''

type Admit = () => void

export class FairQueue {
  readonly #options: FairQueueOptions
  readonly #share: number
  #free: number
  readonly #held = new Map<string, number>()
  /** The principals who wait, the one whose turn is next first; and the calls of each in their order. */
  readonly #waiting = new Map<string, Set<Admit>>()

  constructor(options: FairQueueOptions) {
    this.#options = options
    this.#free = options.places
    this.#share = Math.max(1, Math.floor(options.places * SHARE))
  }

  /** Waits for a place, and returns the function that releases it. Throws OVERLOADED after too long a wait, and the reason
   * of `signal` when it is aborted. */
  async take(principal: string, signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted()
    // Everybody who waits is at the limit of a share, or no place is free.
    if (this.#free > 0 && this.#mayHold(principal)) this.#hold(principal)
    else await this.#wait(principal, signal)
    let isHeld = true
    return () => {
      if (isHeld) this.#release(principal)
      isHeld = false
    }
  }

  #mayHold(principal: string): boolean {
    return principal === OWN_WORK || (this.#held.get(principal) ?? 0) < this.#share
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
    const giveUp = (error: unknown): void => {
      // At once, so that no place is given to a call that has left.
      this.#dequeue(principal, resolve)
      reject(error)
    }
    const { maxWaitMs, what } = this.#options
    const overloaded = (): void =>
      giveUp(new ModelkeepError('OVERLOADED', `too many calls wait for ${what}; retry later`))
    const leave = (): void => giveUp(signal!.reason)
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

  /** Gives the free place to the first in the circle who may hold it, and puts that principal at the end. */
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
