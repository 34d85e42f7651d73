// One port for HTTP/2 and HTTP/1.1, in plain text or with TLS, with resource limits and graceful shutdown.
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttp2Server, type ServerHttp2Session } from 'node:http2'
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import type { createAdapter } from './adapter.ts'
import type { ConnectionLimits, Connections } from './limits/connections.ts'

export interface Address extends ConnectionLimits {
  host: string
  port: number
  /** Time limit for the body of a call with one request message. Default 30. */
  bodySeconds?: number | undefined
  /** Certificate and key in PEM; plain text without them. */
  tls?: { cert: string; key: string } | undefined
}

export interface Listening {
  port: number
  /** Waits up to `graceMs` for calls in flight, then aborts them. */
  close(graceMs: number): Promise<void>
}

/** HTTP/2 flow-control windows in bytes: enough for 150 MiB/s on one stream at 20 ms, and bounded for many. */
const STREAM_WINDOW = 8 * 1024 * 1024
const CONNECTION_WINDOW = 16 * 1024 * 1024
const MAX_STREAMS = 256
const SESSION_MEMORY_MEGABYTES = 256
const HTTP2_PREFACE = 'PRI'

/** Connections that the system accepts before the process does, so that a flood of them delays others little. */
const BACKLOG = 4096
/** Time limit for the headers of an HTTP/1.1 request. */
const HEADERS_MS = 60_000
/** Delay of TCP keep-alive probes, which detect vanished peers. */
const KEEP_ALIVE_MS = 60_000
/** Idle time after which an HTTP/2 connection is closed. */
const IDLE_MS = 10 * 60_000

export async function listen(
  handler: ReturnType<typeof createAdapter>,
  address: Address,
  connections: Connections,
  onCutOff: () => void,
): Promise<Listening> {
  const http1 = createHttpServer(
    { requestTimeout: 0, headersTimeout: HEADERS_MS, keepAliveTimeout: 75_000 },
    handler as RequestListener,
  )
  // This server has no port of its own; the event starts its check for slow headers.
  http1.emit('listening')
  const { http2, sessions } = createSessions(handler, connections)
  const server = createListener(address, (socket, isHttp2) => (isHttp2 ? http2 : http1).emit('connection', socket))
  connections.attach(server)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port: address.port, host: address.host, backlog: BACKLOG }, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    async close(graceMs) {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const session of sessions) session.close()
      http1.closeIdleConnections()
      http1.on('request', (_request, response) => response.setHeader('connection', 'close'))
      const timer = setTimeout(() => {
        onCutOff()
        connections.destroyAll()
      }, graceMs)
      const idle = setInterval(() => http1.closeIdleConnections(), 50)
      await closed
      clearTimeout(timer)
      clearInterval(idle)
    },
  }
}

function createSessions(handler: ReturnType<typeof createAdapter>, connections: Connections) {
  const http2 = createHttp2Server(
    {
      settings: { initialWindowSize: STREAM_WINDOW, maxConcurrentStreams: MAX_STREAMS },
      maxSessionMemory: SESSION_MEMORY_MEGABYTES,
    },
    handler,
  )
  const sessions = new Set<ServerHttp2Session>()
  http2.on('session', (session) => {
    session.setLocalWindowSize(CONNECTION_WINDOW)
    connections.addSession(session)
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
    closeWhenIdle(session)
  })
  return { http2, sessions }
}

function closeWhenIdle(session: ServerHttp2Session): void {
  let open = 0
  const timer = setTimeout(() => {
    if (open === 0) session.close()
  }, IDLE_MS)
  session.on('stream', (stream) => {
    open += 1
    stream.once('close', () => {
      open -= 1
      timer.refresh()
    })
  })
  session.once('close', () => clearTimeout(timer))
}

/** Detects the protocol of a connection by ALPN, or by its first bytes. */
function createListener({ tls }: Address, handOver: (socket: Socket, isHttp2: boolean) => void): Server {
  const tcp = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }
  if (!tls) {
    return createTcpServer(tcp, (socket) => routeByPreface(socket, (isHttp2) => handOver(socket, isHttp2)))
  }
  const options = { ...tcp, ...tls, ALPNProtocols: ['h2', 'http/1.1'] }
  return createTlsServer(options, (socket: TLSSocket) => {
    socket.on('error', () => socket.destroy())
    handOver(socket, socket.alpnProtocol === 'h2')
  })
}

/** Distinguishes HTTP/2 from HTTP/1.1 by the first three bytes. */
function routeByPreface(socket: Socket, handOver: (isHttp2: boolean) => void): void {
  let head = Buffer.alloc(0)
  const readHead = (): void => {
    const more = socket.read() as Buffer | null
    if (more === null) return
    head = Buffer.concat([head, more])
    if (head.length < HTTP2_PREFACE.length && HTTP2_PREFACE.startsWith(head.toString('latin1'))) return
    socket.off('readable', readHead)
    socket.unshift(head)
    handOver(head.toString('latin1', 0, HTTP2_PREFACE.length) === HTTP2_PREFACE)
  }
  socket.on('readable', readHead)
}
