// Limits the connections of a server. A connection that makes no authenticated call within seconds is closed, and no address can
// hold all connections, so that callers without a token cannot lock out the others.
import { createContextKey } from '@connectrpc/connect'
import type { ServerHttp2Session } from 'node:http2'
import type { Server, Socket } from 'node:net'

export interface ConnectionLimits {
  /** The limit on all connections; further ones are closed at once. Default 4,096. */
  maxConnections?: number | undefined
  /** The limit on the connections of one address. Default: three quarters of `maxConnections`. */
  maxConnectionsPerAddress?: number | undefined
  /** Time limit for the first authenticated call of a connection, in seconds. Default 10. */
  authenticateSeconds?: number | undefined
}

export const MAX_CONNECTIONS = 4096
export const AUTHENTICATE_SECONDS = 10
/** The longest time that calls in flight may take to end on a connection that is being closed. */
const MAX_GRACE_MS = 5_000
/** The share of all connections that an address may hold without an authenticated call, and the least number of them. */
const UNAUTHENTICATED_SHARE = 1 / 8
const MIN_UNAUTHENTICATED = 64

export function defaultMaxPerAddress(maxConnections: number): number {
  return Math.ceil((maxConnections * 3) / 4)
}

type Peer = Pick<Socket, 'remoteAddress' | 'remotePort'>

interface Connection {
  socket: Socket
  session?: ServerHttp2Session
  /** The timer that closes the connection. */
  timer: NodeJS.Timeout
}

interface Network {
  connections: Set<Connection>
  /** The connections without an authenticated call, oldest first. */
  unauthenticated: Set<Connection>
}

export class Connections {
  readonly #maxConnections: number
  readonly #perAddress: number
  readonly #maxUnauthenticated: number
  readonly #authenticateMs: number
  readonly #open = new Map<string, Connection>()
  readonly #networks = new Map<string, Network>()

  constructor(limits: ConnectionLimits) {
    const { maxConnections = MAX_CONNECTIONS, authenticateSeconds = AUTHENTICATE_SECONDS } = limits
    this.#maxConnections = maxConnections
    this.#perAddress = limits.maxConnectionsPerAddress ?? defaultMaxPerAddress(maxConnections)
    this.#maxUnauthenticated = Math.max(MIN_UNAUTHENTICATED, Math.ceil(maxConnections * UNAUTHENTICATED_SHARE))
    this.#authenticateMs = authenticateSeconds * 1000
  }

  /** Applies the limits to the connections of a server. */
  attach(server: Server): void {
    server.maxConnections = this.#maxConnections
    server.on('connection', (socket: Socket) => this.#enter(socket))
  }

  /** Records that a connection has made an authenticated call, so that it is not closed. */
  admit(peer: Peer): void {
    const connection = this.#open.get(keyOf(peer))
    if (!connection) return
    clearTimeout(connection.timer)
    this.#networks.get(networkOf(peer))?.unauthenticated.delete(connection)
  }

  /** Records the HTTP/2 session of a connection, so that its peer gets a GOAWAY frame before the connection is closed. */
  addSession(session: ServerHttp2Session): void {
    const connection = this.#open.get(keyOf(session.socket))
    if (connection) connection.session = session
  }

  destroyAll(): void {
    for (const { socket } of this.#open.values()) socket.destroy()
  }

  #enter(socket: Socket): void {
    socket.on('error', () => socket.destroy())
    // The peer has already closed the connection.
    if (socket.remoteAddress === undefined) return void socket.destroy()
    const address = networkOf(socket)
    const network = this.#networks.get(address) ?? { connections: new Set(), unauthenticated: new Set() }
    if (!this.#hasRoom(network)) return void socket.destroy()
    this.#networks.set(address, network)
    const connection: Connection = { socket, timer: setTimeout(() => this.#close(connection), this.#authenticateMs) }
    const key = keyOf(socket)
    this.#open.set(key, connection)
    network.connections.add(connection)
    network.unauthenticated.add(connection)
    socket.once('close', () => {
      remove(connection, network)
      this.#open.delete(key)
      const isLast = network.connections.size === 0 && this.#networks.get(address) === network
      if (isLast) this.#networks.delete(address)
    })
  }

  #close(connection: Connection): void {
    const { socket, session } = connection
    if (!session || session.destroyed) return void socket.destroy()
    session.close()
    connection.timer = setTimeout(() => socket.destroy(), Math.min(this.#authenticateMs, MAX_GRACE_MS))
  }

  /** Returns whether the network may have another connection. At the limit, the oldest connection without an authenticated
   * call is closed, because newer ones are more likely to make such a call. */
  #hasRoom(network: Network): boolean {
    const { connections, unauthenticated } = network
    if (connections.size < this.#perAddress && unauthenticated.size < this.#maxUnauthenticated) return true
    const [oldest] = unauthenticated
    if (!oldest) return false
    remove(oldest, network)
    oldest.socket.destroy()
    return true
  }
}

function remove(connection: Connection, { connections, unauthenticated }: Network): void {
  clearTimeout(connection.timer)
  connections.delete(connection)
  unauthenticated.delete(connection)
}

/** Returns the key of a connection, which is the same for the sockets that HTTP/2 and TLS expose. */
function keyOf({ remoteAddress, remotePort }: Peer): string {
  return `${remoteAddress} ${remotePort}`
}

/** Returns the IPv4 address, or the first 64 bits of the IPv6 address, because a client with one IPv6 address has 2^64. */
export function networkOf({ remoteAddress = '' }: Peer): string {
  if (!remoteAddress.includes(':')) return remoteAddress
  if (remoteAddress.startsWith('::ffff:')) return remoteAddress.slice('::ffff:'.length)
  const [left = [], right = []] = remoteAddress.split('::').map((part) => part.split(':').filter(Boolean))
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0')
  return [...left, ...zeros, ...right].slice(0, 4).join(':')
}

/** The connection of a call. */
export class CallConnection {
  readonly #connections: Connections
  readonly #peer: Peer

  constructor(connections: Connections, peer: Peer) {
    this.#connections = connections
    this.#peer = peer
  }

  get network(): string {
    return networkOf(this.#peer)
  }

  admit(): void {
    this.#connections.admit(this.#peer)
  }
}

const NO_PEER = { remoteAddress: undefined, remotePort: undefined }
/** Calls in memory have no connection. */
export const connectionKey = createContextKey(new CallConnection(new Connections({}), NO_PEER))
