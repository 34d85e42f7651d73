// A proxy in front of PostgreSQL that stops a service at one statement: before the database receives it, or after the
// database ran it and before the service receives the response. The service waits there until it is killed.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { expect, vi } from 'vitest'

export interface FreezePoint {
  side: 'before' | 'after'
  statement: RegExp
  /** A statement that the same transaction must have sent before. */
  following?: RegExp
}

const COMMIT = /^commit/i

/** Stops before the statement: the database never receives it. */
export const before = (statement: RegExp): FreezePoint => ({ side: 'before', statement })
/** Stops after the statement: the database runs it, and its response never arrives. */
export const after = (statement: RegExp): FreezePoint => ({ side: 'after', statement })
/** Stops at the commit of the transaction that sent `statement`. */
export const beforeCommit = (statement: RegExp): FreezePoint => ({ ...before(COMMIT), following: statement })
export const afterCommit = (statement: RegExp): FreezePoint => ({ ...after(COMMIT), following: statement })

export interface FreezingDatabase {
  /** The database's URL through the proxy. */
  url: string
  /** Makes the next statement at this point stop. */
  arm(point: FreezePoint): void
  /** The stopped statement, once the point is reached. */
  frozen(): string | undefined
  close(): Promise<void>
}

export interface FrozenCall<T> {
  answer: Promise<T>
  /** False if the call failed. */
  isAnswered: Promise<boolean>
}

/** Makes the call, and waits until the service stops at the point. */
export async function freezeAt<T>(
  database: FreezingDatabase,
  point: FreezePoint,
  call: () => Promise<T>,
): Promise<FrozenCall<T>> {
  database.arm(point)
  const answer = call()
  let problem = ''
  const isAnswered = answer.then(
    () => true,
    (error: unknown) => {
      problem = (error as Error).message
      return false
    },
  )
  const isThere = (): void => expect(database.frozen() ?? '', problem).toMatch(point.statement)
  await vi.waitFor(isThere, { timeout: 20_000, interval: 10 })
  return { answer, isAnswered }
}

export async function startFreezingDatabase(database: string): Promise<FreezingDatabase> {
  const url = new URL(database)
  const target = { host: url.hostname, port: Number(url.port) }
  const sockets = new Set<Socket>()
  const trap = new Trap()
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ ...target, noDelay: true })
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    forward(client, upstream, trap)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  url.hostname = '127.0.0.1'
  url.port = String((server.address() as AddressInfo).port)
  return {
    url: url.href,
    arm: (point) => trap.set(point),
    frozen: () => trap.frozen,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Stops one statement. */
class Trap {
  frozen: string | undefined
  #point: FreezePoint | undefined

  set(point: FreezePoint): void {
    this.#point = point
    this.frozen = undefined
  }

  /** Returns the side on which `sql` stops; undefined if it does not stop. */
  take(sql: string, transaction: string[]): FreezePoint['side'] | undefined {
    const point = this.#point
    const { following } = point ?? {}
    if (!point?.statement.test(sql)) return undefined
    if (following && !transaction.some((earlier) => following.test(earlier))) return undefined
    this.#point = undefined
    return point.side
  }
}

function forward(client: Socket, upstream: Socket, trap: Trap): void {
  const frames = new Frames()
  const statements = new Statements()
  let transaction: string[] = []
  let stopped: { side: FreezePoint['side']; sql: string } | undefined
  let tail = Buffer.alloc(0)
  client.on('data', (bytes: Buffer) => {
    for (const frame of frames.add(bytes)) {
      if (stopped?.side === 'before') return
      const sql = statements.read(frame)
      const side = sql === undefined ? undefined : trap.take(sql, transaction)
      if (sql !== undefined) transaction = /^begin/i.test(sql) ? [] : [...transaction, sql]
      if (side) stopped = { side, sql: sql! }
      if (side === 'before') trap.frozen = sql
      else upstream.write(frame)
    }
  })
  upstream.on('data', (bytes: Buffer) => {
    if (!stopped) return void client.write(bytes)
    tail = Buffer.concat([tail, bytes]).subarray(-READY.length - 1)
    if (tail.subarray(0, -1).equals(READY)) trap.frozen = stopped.sql
  })
}

/** The end of every response, except for the last byte, which is the transaction status. */
const READY = Buffer.from([0x5a, 0, 0, 0, 5])

/** The messages of a client. The first one has no type. */
class Frames {
  #rest = Buffer.alloc(0)
  #typeBytes = 0

  add(bytes: Buffer): Buffer[] {
    this.#rest = Buffer.concat([this.#rest, bytes])
    const whole: Buffer[] = []
    while (this.#rest.length >= this.#typeBytes + 4) {
      const length = this.#typeBytes + this.#rest.readUInt32BE(this.#typeBytes)
      if (this.#rest.length < length) break
      whole.push(this.#rest.subarray(0, length))
      this.#rest = this.#rest.subarray(length)
      this.#typeBytes = 1
    }
    return whole
  }
}

/** The statements in the messages of one client. */
class Statements {
  /** The parsed statements by name; the unnamed statement has the empty name. */
  readonly #parsed = new Map<string, string>()

  /** Returns the SQL of a simple query, or that of a parsed one followed by its parameters; undefined for all other
   * messages. */
  read(frame: Buffer): string | undefined {
    const type = String.fromCharCode(frame[0]!)
    if (type === 'Q') return frame.toString('utf8', 5, frame.length - 1)
    const nameAt = type === 'B' ? frame.indexOf(0, 5) + 1 : 5
    const nameEnd = frame.indexOf(0, nameAt)
    const name = frame.toString('utf8', nameAt, nameEnd)
    if (type === 'B') return `${this.#parsed.get(name)} ${frame.toString('utf8', nameEnd + 1)}`
    if (type === 'P') this.#parsed.set(name, frame.toString('utf8', nameEnd + 1, frame.indexOf(0, nameEnd + 1)).trim())
    return undefined
  }
}
