// Limits the memory that transfers hold. A transfer that finds no room waits in a queue for a moment. No principal can hold
// all of it, so that one with many transfers does not lock the others out.
import { fail } from '#lib/errors/errors.ts'

interface Waiting {
  principal: string
  bytes: number
  admit: () => void
}

/** The share of the limit that one principal may hold at a time. */
const SHARE = 3 / 4

export class ByteBudget {
  /** Bytes of all principals together. */
  readonly limit: number
  readonly #maxWaitMs: number
  readonly #queue: Waiting[] = []
  readonly #held = new Map<string, number>()
  #used = 0

  constructor(limit: number, maxWaitMs: number) {
    this.limit = limit
    this.#maxWaitMs = maxWaitMs
  }

  get used(): number {
    return this.#used
  }

  /** Waits for room, and returns the function that releases it. Throws OVERLOADED when there is none for too long. A request
   * for more than a principal's share is reduced to the share. */
  async acquire(principal: string, wanted: number): Promise<() => void> {
    const bytes = Math.min(wanted, this.limit * SHARE)
    if (this.#queue.length === 0 && this.#fits(principal, bytes)) this.#hold(principal, bytes)
    else await this.#wait(principal, bytes)
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#hold(principal, -bytes)
      this.#admitNext()
    }
  }

  #hold(principal: string, bytes: number): void {
    this.#used += bytes
    const held = (this.#held.get(principal) ?? 0) + bytes
    if (held > 0) this.#held.set(principal, held)
    else this.#held.delete(principal)
  }

  #fits(principal: string, bytes: number): boolean {
    return this.#used + bytes <= this.limit && this.#mayHold(principal, bytes)
  }

  #mayHold(principal: string, bytes: number): boolean {
    return (this.#held.get(principal) ?? 0) + bytes <= this.limit * SHARE
  }

  async #wait(principal: string, bytes: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#queue.splice(this.#queue.indexOf(waiting), 1)
        this.#admitNext()
        reject(new Error('no room'))
      }, this.#maxWaitMs)
      const admit = (): void => {
        clearTimeout(timer)
        resolve()
      }
      const waiting: Waiting = { principal, bytes, admit }
      this.#queue.push(waiting)
      this.#admitNext()
    }).catch(() => fail('OVERLOADED', 'the service has too many transfers; retry later'))
  }

  /** Admits in order, but skips principals that have their share. The first of the others that finds no room blocks the
   * rest. */
  #admitNext(): void {
    for (;;) {
      const index = this.#queue.findIndex(({ principal, bytes }) => this.#mayHold(principal, bytes))
      const next = this.#queue[index]
      if (!next || !this.#fits(next.principal, next.bytes)) return
      this.#queue.splice(index, 1)
      this.#hold(next.principal, next.bytes)
      next.admit()
    }
  }
}
