// Connections to the S3 server that are reused, the most recent one first. Node's agents work only with Node's own HTTP client.

const MAX_CONNECTIONS = 256
const MAX_IDLE = 64

interface Connection {
  /** Whether it can carry another request. */
  readonly isIdle: boolean
  destroy(): void
}

export class ConnectionPool<C extends Connection> {
  readonly #open: (onClose: () => void) => C
  readonly #all = new Set<C>()
  readonly #idle: C[] = []
  /** Callers that wait for one of the connections, in order. */
  readonly #waiting = new Set<() => void>()
  #isClosed = false

  constructor(open: (onClose: () => void) => C) {
    this.#open = open
  }

  /** Waits while all connections are in use. Rejects when the signal aborts or the pool is closed. */
  async take(signal?: AbortSignal): Promise<C> {
    for (;;) {
      signal?.throwIfAborted()
      if (this.#isClosed) throw new Error('store is closed')
      for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) if (idle.isIdle) return idle
      if (this.#all.size < MAX_CONNECTIONS) return this.#add()
      await this.#wait(signal)
      // The caller may have been woken for a connection that it no longer wants.
      if (signal?.aborted) this.#wakeNext()
    }
  }

  /** Returns an idle connection to the pool, and closes any other. */
  release(connection: C): void {
    if (connection.isIdle && this.#idle.length < MAX_IDLE) this.#idle.push(connection)
    else connection.destroy()
    this.#wakeNext()
  }

  close(): void {
    this.#isClosed = true
    for (const connection of this.#all) connection.destroy()
    for (const wake of this.#waiting) wake()
  }

  #add(): C {
    const connection = this.#open(() => {
      this.#all.delete(connection)
      this.#wakeNext()
    })
    this.#all.add(connection)
    return connection
  }

  #wait(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      this.#waiting.add(wake)
      signal?.addEventListener('abort', wake)
    })
  }

  #wakeNext(): void {
    const [wake] = this.#waiting
    wake?.()
  }
}
