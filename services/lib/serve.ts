// One address for gRPC (h2c or TLS), gRPC-Web, Connect, JSON and plain HTTP, with a graceful end.
import type { ConnectRouter } from '@connectrpc/connect'
import type { ConnectNodeAdapterOptions } from '@connectrpc/connect-node'
import type { DescService } from '@bufbuild/protobuf'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttp2Server, type ServerHttp2Session } from 'node:http2'
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import { Health } from '#gen/health/v1/health_pb.ts'
import { createAdapter } from './adapter.ts'
import { FastLane, type ByteMethod } from './fast-lane/lane.ts'
import { createGate, type GateOptions } from './gate.ts'
import { healthRoutes, type HealthOptions } from './health.ts'
import { createInterceptors } from './interceptors.ts'
import type { Logger } from './log.ts'
import { plainHandler, type AnswerPlain } from './plain-http.ts'
import { reflectionRoutes } from './reflection.ts'

/** Unary requests, and every single message of a stream. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024

/** HTTP/2 flow control: enough for 150 MiB/s on one stream at 20 ms, bounded for many. Bytes. */
const STREAM_WINDOW = 4 * 1024 * 1024
const CONNECTION_WINDOW = 16 * 1024 * 1024
const MAX_STREAMS = 256
const SESSION_MEMORY_MEGABYTES = 256
const HTTP2_PREFACE = 'PRI'

/** How long a connection may take to say which protocol it speaks, and an HTTP/1.1 request to send its headers. */
const FIRST_BYTES_MS = 60_000
/** Connections whose other end vanished without a word are found out after so long. */
const KEEP_ALIVE_MS = 60_000

/** One or several services as something that can be served, or called in memory in a test. */
export interface Serving extends GateOptions {
  services: DescService[]
  routes: (router: ConnectRouter) => void
  check: HealthOptions['check']
  /** Methods that carry bytes and take the fast lane. */
  byteMethods?: ByteMethod[]
  /** What plain HTTP GET finds beside the RPCs. */
  plain?: AnswerPlain
  /** Aborted when the process begins to drain; endless streams end on it. */
  draining: AbortSignal
  logger: Logger
}

export interface Served {
  port: number
  fastLane: Pick<FastLane, 'calls'>
  /** Lets calls in flight end, for at most `graceMs`, then cuts them off. */
  close(graceMs: number): Promise<void>
}

/** The same for the real server and for a router in memory, so that gate and interceptors are always there. */
export function adapterOptions(serving: Serving) {
  const cutOff = new AbortController()
  const options = {
    routes: (router: ConnectRouter) => {
      serving.routes(router)
      healthRoutes({
        services: serving.services.map(({ typeName }) => typeName),
        check: serving.check,
        draining: serving.draining,
      })(router)
      reflectionRoutes([...serving.services, Health])(router)
    },
    requestGate: createGate(serving),
    interceptors: createInterceptors(serving.logger, serving.recordDenial),
    readMaxBytes: MAX_MESSAGE_BYTES,
    acceptCompression: [],
    shutdownSignal: cutOff.signal,
  } satisfies ConnectNodeAdapterOptions
  return { options, cutOff }
}

export async function serve(serving: Serving, address: { host: string; port: number }): Promise<Served> {
  const { options, cutOff } = adapterOptions(serving)
  const fastLane = new FastLane({ ...options, methods: serving.byteMethods ?? [] })
  const handler = createAdapter({ ...options, fastLane, logger: serving.logger, fallback: plainHandler(serving) })
  const http1 = createHttpServer(
    { requestTimeout: 0, headersTimeout: FIRST_BYTES_MS, keepAliveTimeout: 75_000 },
    handler,
  )
  // It listens on no port of its own, and without this would never look after slow headers.
  http1.emit('listening')
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
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
  })
  const sockets = new Set<Socket>()
  const tcp = createTcpServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    routeByPreface(socket, (isHttp2) => (isHttp2 ? http2 : http1).emit('connection', socket))
  })
  await new Promise<void>((resolve, reject) => {
    tcp.once('error', reject)
    tcp.listen(address.port, address.host, resolve)
  })
  return {
    port: (tcp.address() as AddressInfo).port,
    fastLane,
    async close(graceMs) {
      const closed = new Promise((resolve) => tcp.close(resolve))
      for (const session of sessions) session.close()
      http1.closeIdleConnections()
      http1.on('request', (_request, response) => response.setHeader('connection', 'close'))
      const timer = setTimeout(() => {
        cutOff.abort()
        for (const socket of sockets) socket.destroy()
      }, graceMs)
      const idle = setInterval(() => http1.closeIdleConnections(), 50)
      await closed
      clearTimeout(timer)
      clearInterval(idle)
    },
  }
}

/** The first three bytes tell HTTP/2 from HTTP/1.1. */
function routeByPreface(socket: Socket, hand: (isHttp2: boolean) => void): void {
  let head = Buffer.alloc(0)
  const look = (): void => {
    const more = socket.read() as Buffer | null
    if (more === null) return
    head = Buffer.concat([head, more])
    if (head.length < HTTP2_PREFACE.length && HTTP2_PREFACE.startsWith(head.toString('latin1'))) return
    socket.off('readable', look)
    socket.off('timeout', giveUp)
    socket.setTimeout(0)
    socket.unshift(head)
    hand(head.toString('latin1', 0, HTTP2_PREFACE.length) === HTTP2_PREFACE)
  }
  const giveUp = (): void => void socket.destroy()
  socket.setTimeout(FIRST_BYTES_MS)
  socket.on('timeout', giveUp)
  socket.on('readable', look)
}
