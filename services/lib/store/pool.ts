// Prepares a pool of connections: principals share it fairly, and broken connections are removed.
import { AsyncLocalStorage } from 'node:async_hooks'
import { FairQueue, SERVICE_WORK } from '../process/fair-queue.ts'
import { currentPrincipal } from '../process/principal.ts'

/** The parts of `pg` that are used here; the package has no types. */
interface ConnectionPool {
  options: object
  Client: new (options: object) => PooledConnection
  connect(): Promise<PooledConnection>
  on(event: 'connect', take: (client: PooledConnection) => void): void
  on(event: 'release', take: (error: unknown, client: PooledConnection) => void): void
}
interface PooledConnection {
  on(event: 'error', take: () => void): void
  once(event: 'end', take: () => void): void
  release(broken: boolean): void
}

/** The longest time that a call waits for a connection. */
const MAX_WAIT_MS = 10_000

/** Returns a function that prepares a new pool of `size` connections. `hasShares`: a principal gets a share of them. */
export function preparePool(size: number, hasShares: boolean): (pool: ConnectionPool) => void {
  return (pool) => {
    // MikroORM cancels a statement over a new connection, created from the enumerable options. That connection must not
    // assume the service's role, because only the user who opened a session may cancel its statements.
    Object.defineProperty(pool.options, 'options', { enumerable: false })
    pool.Client = withErrorListener(pool.Client)
    pool.on('connect', releaseWhenBroken)
    shareConnections(
      pool,
      new FairQueue({ slots: size, maxWaitMs: MAX_WAIT_MS, what: 'connections to the database' }),
      hasShares,
    )
  }
}

/** The connection over which a statement is cancelled has no listener of its own, and an error event without one ends the
 * process. Its statements fail in any case. */
function withErrorListener(Client: ConnectionPool['Client']): ConnectionPool['Client'] {
  return class extends Client {
    constructor(options: object) {
      super(options)
      this.on('error', () => {})
    }
  }
}

/** The signal of the transaction that begins. MikroORM does not pass it to the pool. */
const beginSignal = new AsyncLocalStorage<AbortSignal | undefined>()

/** Runs `begin`. While it waits for a connection, an abort of `signal` ends the wait. */
export function beginWith<T>(signal: AbortSignal | undefined, begin: () => T): T {
  return beginSignal.run(signal, begin)
}

function shareConnections(pool: ConnectionPool, queue: FairQueue, hasShares: boolean): void {
  const connect = pool.connect.bind(pool)
  const slots = new WeakMap<PooledConnection, () => void>()
  pool.connect = async () => {
    const release = await queue.take(hasShares ? currentPrincipal() : SERVICE_WORK, beginSignal.getStore())
    try {
      const client = await connect()
      slots.set(client, release)
      return client
    } catch (error) {
      release()
      throw error
    }
  }
  pool.on('release', (_error, client) => slots.get(client)?.())
}

/** Releases a connection that broke in a transaction. MikroORM does not, because its rollback fails first; each such
 * connection would occupy a slot of the pool forever. */
function releaseWhenBroken(client: PooledConnection): void {
  client.once('end', () =>
    setTimeout(() => {
      try {
        client.release(true)
      } catch {
        // The holder has released it, or it was idle.
      }
    }, RELEASE_AFTER_MS).unref(),
  )
}

/** The time in which the holder of a broken connection may release it, because a second release would throw there. */
const RELEASE_AFTER_MS = 500
