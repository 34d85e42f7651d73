// Limits the requests that start in one iteration of the event loop, because a thousand requests that arrive in one packet would
// block the process until all have started. Connections are served round-robin.

/** Number of requests that start in one iteration, which takes some tens of milliseconds. */
const PER_ITERATION = 64

/** `isLater` is true if the request starts in a later iteration than the one in which it arrived. */
type Start = (isLater: boolean) => void

export class RequestPacer {
  readonly #waiting = new Map<object, Start[]>()
  #begun = 0
  #isScheduled = false

  /** Runs `start` now, or in a later iteration if many requests wait or have started in this one. */
  begin(connection: object, start: Start): void {
    this.#schedule()
    if (this.#begun < PER_ITERATION && this.#waiting.size === 0) {
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
    setImmediate(() => this.#iterate())
  }

  #iterate(): void {
    this.#isScheduled = false
    this.#begun = 0
    while (this.#begun < PER_ITERATION && this.#waiting.size > 0) {
      this.#begun += 1
      this.#takeNext()(true)
    }
    if (this.#waiting.size > 0) this.#schedule()
    else this.#begun = 0
  }

  /** Removes the first request of the next connection, and moves that connection to the end. */
  #takeNext(): Start {
    const [[connection, queue]] = this.#waiting as unknown as [[object, Start[]]]
    const start = queue.shift()!
    this.#waiting.delete(connection)
    if (queue.length > 0) this.#waiting.set(connection, queue)
    return start
  }
}
