// A bound on the bytes that a process holds for its callers. Who finds no room waits in line for a moment; and nobody has
// all of it, so that one who takes much does not shut the others out.
import { fail } from '#lib/errors/errors.ts'

interface Waiting {
  who: string
  bytes: number
  admit: () => void
}

/** Of the whole, what one principal may hold at a time. */
const SHARE = 3 / 4

export class ByteBudget {
  /** Bytes. */
  readonly limit: number
  readonly #patienceMs: number
  readonly #line: Waiting[] = []
  readonly #held = new Map<string, number>()
  #used = 0

  constructor(limit: number, patienceMs: number) {
    this.limit = limit
    this.#patienceMs = patienceMs
  }

  get used(): number {
    return this.#used
  }

  /** Returns the function that gives the room back. Throws OVERLOADED when there was none for too long. What is larger
   * than a principal's share gets all of the share, alone. `who`: the principal. */
  async acquire(who: string, wanted: number): Promise<() => void> {
    const bytes = Math.min(wanted, this.limit * SHARE)
    if (this.#line.length === 0 && this.#fits(who, bytes)) this.#hold(who, bytes)
    else await this.#wait(who, bytes)
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#hold(who, -bytes)
      this.#admitNext()
    }
  }

  #hold(who: string, bytes: number): void {
    this.#used += bytes
    const held = (this.#held.get(who) ?? 0) + bytes
    if (held > 0) this.#held.set(who, held)
    else this.#held.delete(who)
  }

  #fits(who: string, bytes: number): boolean {
    return this.#used + bytes <= this.limit && this.#mayHold(who, bytes)
  }

  #mayHold(who: string, bytes: number): boolean {
    return (this.#held.get(who) ?? 0) + bytes <= this.limit * SHARE
  }

  async #wait(who: string, bytes: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#line.splice(this.#line.indexOf(waiting), 1)
        this.#admitNext()
        reject(new Error('no room'))
      }, this.#patienceMs)
      const admit = (): void => {
        clearTimeout(timer)
        resolve()
      }
      const waiting: Waiting = { who, bytes, admit }
      this.#line.push(waiting)
      this.#admitNext()
    }).catch(() => fail('OVERLOADED', 'the service has too many transfers under way; wait a moment and try again'))
  }

  /** In order, past those who have their share; the first of the others for whom there is no room holds up the rest. */
  #admitNext(): void {
    for (;;) {
      const index = this.#line.findIndex(({ who, bytes }) => this.#mayHold(who, bytes))
      const next = this.#line[index]
      if (!next || !this.#fits(next.who, next.bytes)) return
      this.#line.splice(index, 1)
      this.#hold(next.who, next.bytes)
      next.admit()
    }
  }
}
