// The pace at which requests begin. A thousand that arrive in one packet would hold up the process until all have begun: so
// only some begin in each turn of the event loop, and connections take turns.

/** Requests that begin in one turn: some tens of milliseconds of work. */
const PER_TURN = 64

/** `isLater`: whether other work came between the arrival of the request and its start. */
type Start = (isLater: boolean) => void

export class Starts {
  readonly #waiting = new Map<object, Start[]>()
  #begun = 0
  #isScheduled = false

  /** Runs `start` now, or in a later turn if many came before it. */
  begin(connection: object, start: Start): void {
    this.#schedule()
    if (this.#begun < PER_TURN && this.#waiting.size === 0) {
      this.#begun += 1
      return start(false)
    }
    const queue = this.#waiting.get(connection)
    if (queue) queue.push(start)
    else this.#waiting.set(connection, [start])
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.#turn())
  }

  #turn(): void {
    this.#isScheduled = false
    this.#begun = 0
    while (this.#begun < PER_TURN && this.#waiting.size > 0) {
      this.#begun += 1
      this.#takeNext()(true)
    }
    if (this.#waiting.size > 0) this.#schedule()
    else this.#begun = 0
  }

  /** Takes the first request of the connection whose turn it is, and puts that connection at the end. */
  #takeNext(): Start {
    const [[connection, queue]] = this.#waiting as unknown as [[object, Start[]]]
    const start = queue.shift()!
    this.#waiting.delete(connection)
    if (queue.length > 0) this.#waiting.set(connection, queue)
    return start
  }
}
