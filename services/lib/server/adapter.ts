// Request handler for Node's HTTP servers, like `connectNodeAdapter`, except that it prints nothing when a caller leaves.
import { Code, ConnectError, createConnectRouter, createContextValues, type ConnectRouter } from '@connectrpc/connect'
import {
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
  type connectNodeAdapter,
  type ConnectNodeAdapterOptions,
} from '@connectrpc/connect-node'
import type { ZeroCopyHandler } from '../byte-streams/handler.ts'
import { LINGER_MS } from '../byte-streams/stream.ts'
import type { Logger } from '../process/log.ts'
import { checkBody } from './limits/body-items.ts'
import { hasOneRequest, limitBody } from './limits/body-timer.ts'
import { CallConnection, connectionKey, type Connections } from './limits/connections.ts'
import { shortenDeadline } from './limits/deadline.ts'
import { RequestPacer } from './limits/request-pacer.ts'

type Handler = ReturnType<typeof connectNodeAdapter>
type Request = Parameters<Handler>[0]
type Response = Parameters<Handler>[1]

interface AdapterOptions extends ConnectNodeAdapterOptions {
  fallback: Handler
  /** Handles the zero-copy methods; tried before the generic handlers. */
  zeroCopy: ZeroCopyHandler
  readMaxBytes: number
  /** Time limit for the body of a call with one request message. */
  bodySeconds: number
  connections: Connections
  logger: Logger
}

export function createAdapter(adapter: AdapterOptions): Handler {
  const { fallback, zeroCopy, bodySeconds, connections, logger, ...options } = adapter
  const { readMaxBytes } = options
  const router: ConnectRouter = createConnectRouter(options)
  options.routes(zeroCopy.wrap(router))
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]))
  const pacer = new RequestPacer()
  return (request, response) => {
    const connection = 'stream' in request ? (request.stream.session ?? request) : request.socket
    pacer.begin(connection, (isLater) => {
      if (!isLater || !hasGone(request)) handle(request, response)
    })
  }

  function handle(request: Request, response: Response): void {
    const path = request.url?.split('?', 2)[0] ?? ''
    const handler = handlers.get(path)
    if (!handler) return fallback(request, response)
    respond().catch((error: unknown) => {
      // The interceptors have logged the call; this line records that its response could not be sent.
      const code = Code[ConnectError.from(error).code]
      logger.debug({ method: `${handler.service.typeName}/${handler.method.name}`, code, error }, 'response not sent')
      if (response.headersSent) return
      // The request names no host.
      response.statusCode = 400
      response.end()
    })

    async function respond(): Promise<void> {
      const taken = zeroCopy.answer(request, response, path)
      if (taken) return taken
      const values = createContextValues().set(connectionKey, new CallConnection(connections, request.socket))
      const universal = universalRequestFromNodeRequest(request, response, undefined, values)
      shortenDeadline(universal.header)
      if (hasOneRequest(handler!.method)) {
        universal.body = limitBody(universal.body as AsyncIterable<Uint8Array>, bodySeconds)
      }
      universal.body = checkBody(handler!.method, universal, readMaxBytes)
      closeUnfinished(request, response)
      await universalResponseToNodeResponse(await handler!(universal), response)
    }
  }
}

/** Whether the caller left before the request began. */
function hasGone(request: Request): boolean {
  return 'stream' in request ? request.stream.closed || request.stream.destroyed : request.socket.destroyed
}

/** Closes what carries the request when the client goes on sending for too long after it got the answer. */
function closeUnfinished(request: Request, response: Response): void {
  const writing = 'stream' in response ? response.stream : response
  writing.once('finish', () => {
    if (request.complete) return
    const close = 'stream' in request ? () => request.stream.close() : () => request.socket.destroy()
    const timer = setTimeout(close, LINGER_MS)
    request.once('close', () => clearTimeout(timer))
  })
}
