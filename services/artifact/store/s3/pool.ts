// Connections to the S3 server that are used again, the last one first.

const MAX_CONNECTIONS = 128
const MAX_IDLE = 64

interface Connection {
  /** Whether it can be used. */
  readonly isIdle: boolean
  destroy(): void
}

export class ConnectionPool<C extends Connection> {
  readonly #open: (onClose: () => void) => C
  readonly #all = new Set<C>()
  readonly #idle: C[] = []

  constructor(open: (onClose: () => void) => C) {
    this.#open = open
  }

  /** Undefined where there are as many as there may be. */
  take(): C | undefined {
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) if (idle.isIdle) return idle
    if (this.#all.size >= MAX_CONNECTIONS) return undefined
    const connection = this.#open(() => void this.#all.delete(connection))
    this.#all.add(connection)
    return connection
  }

  giveBack(connection: C): void {
    if (connection.isIdle && this.#idle.length < MAX_IDLE) this.#idle.push(connection)
    else connection.destroy()
  }

  close(): void {
    for (const connection of this.#all) connection.destroy()
  }
}
