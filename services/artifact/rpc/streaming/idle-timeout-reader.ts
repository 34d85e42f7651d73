import { ModelkeepError } from '#lib/errors/errors.ts'

/** Reads messages with a timeout for each, and stops waiting when the call is aborted. One timer serves the whole stream. */
export class IdleTimeoutReader<T> {
  readonly #messages: AsyncIterator<T>
  readonly #timer: NodeJS.Timeout
  readonly #signal: AbortSignal
  #reject: (reason: unknown) => void = () => {}

  constructor(messages: AsyncIterable<T>, seconds: number, signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', () => this.#reject(signal.reason), { once: true })
    this.#messages = messages[Symbol.asyncIterator]()
    this.#timer = setTimeout(() => this.#reject(idleError(seconds)), seconds * 1000).unref()
  }

  /** Throws STREAM_IDLE. `refresh` restarts the timer even if it expired while nobody waited. */
  next(): Promise<IteratorResult<T>> {
    return new Promise((resolve, reject) => {
      this.#signal.throwIfAborted()
      this.#reject = reject
      this.#timer.refresh()
      this.#messages.next().then(resolve, reject)
    })
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}

function idleError(seconds: number): ModelkeepError {
  const message = `the client sent nothing for ${seconds} seconds; the stream was closed`
  return new ModelkeepError('STREAM_IDLE', message, { idle_seconds: String(seconds) })
}
