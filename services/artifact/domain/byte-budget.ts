// A bound on the bytes that a process holds for uploads. Who finds no room waits in line for a moment.
import { fail } from '#lib/errors.ts'

interface Waiting {
  bytes: number
  admit: () => void
}

export class ByteBudget {
  readonly #limit: number
  readonly #patienceMs: number
  readonly #line: Waiting[] = []
  #used = 0

  constructor(limit: number, patienceMs: number) {
    this.#limit = limit
    this.#patienceMs = patienceMs
  }

  get used(): number {
    return this.#used
  }

  /** Returns the function that gives the room back. Throws OVERLOADED when there was none for too long. What is larger
   * than the whole budget gets all of it, alone. */
  async take(wanted: number): Promise<() => void> {
    const bytes = Math.min(wanted, this.#limit)
    if (this.#line.length === 0 && this.#used + bytes <= this.#limit) this.#used += bytes
    else await this.#wait(bytes)
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#used -= bytes
      this.#admitNext()
    }
  }

  async #wait(bytes: number): Promise<void> {
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
      const waiting: Waiting = { bytes, admit }
      this.#line.push(waiting)
    }).catch(() => fail('OVERLOADED', 'the service has too many uploads under way; wait a moment and try again'))
  }

  #admitNext(): void {
    for (let next = this.#line[0]; next && this.#used + next.bytes <= this.#limit; next = this.#line[0]) {
      this.#line.shift()
      this.#used += next.bytes
      next.admit()
    }
  }
}
