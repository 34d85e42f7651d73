// A deadline that starts over with each progress.

export class StallWatch implements Disposable {
  readonly #controller = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #release: () => void
  /** Whether `signal` was aborted because there was no progress. */
  stalled = false

  constructor(milliseconds: number, outer: AbortSignal) {
    this.#timer = setTimeout(() => {
      this.stalled = true
      this.#controller.abort()
    }, milliseconds)
    const stop = (): void => this.#controller.abort(outer.reason)
    outer.addEventListener('abort', stop, { once: true })
    this.#release = () => outer.removeEventListener('abort', stop)
    if (outer.aborted) stop()
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  reportProgress(): void {
    if (!this.signal.aborted) this.#timer.refresh()
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#release()
    this.#controller.abort()
  }
}
