// Request handler for Node's HTTP servers, like `connectNodeAdapter`, except that it prints nothing when a caller leaves.
import { Code, ConnectError, createConnectRouter, type ConnectRouter } from '@connectrpc/connect'
import {
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
  type connectNodeAdapter,
  type ConnectNodeAdapterOptions,
} from '@connectrpc/connect-node'
import type { ZeroCopyHandler } from '../byte-streams/handler.ts'
import type { Logger } from '../process/log.ts'

type Handler = ReturnType<typeof connectNodeAdapter>

interface AdapterOptions extends ConnectNodeAdapterOptions {
  fallback: Handler
  /** Handles the zero-copy methods; tried before the generic handlers. */
  zeroCopy: ZeroCopyHandler
  logger: Logger
}

export function createAdapter({ fallback, zeroCopy, logger, ...options }: AdapterOptions): Handler {
  const router: ConnectRouter = createConnectRouter(options)
  options.routes(zeroCopy.wrap(router))
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]))
  return (request, response) => {
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
      const universal = universalRequestFromNodeRequest(request, response, undefined, undefined)
      await universalResponseToNodeResponse(await handler!(universal), response)
    }
  }
}
