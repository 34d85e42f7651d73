// RPCs on Node's servers, as `connectNodeAdapter` does it, except that a caller who leaves is no news for the terminal.
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
  /** Asked first. */
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
    answer().catch((error: unknown) => {
      // The call's own line tells why it ended; this one, that its end could not be sent.
      const code = Code[ConnectError.from(error).code]
      logger.debug({ method: `${handler.service.typeName}/${handler.method.name}`, code, error }, 'answer not sent')
      if (response.headersSent) return
      // A request that names no host.
      response.statusCode = 400
      response.end()
    })

    async function answer(): Promise<void> {
      const taken = zeroCopy.answer(request, response, path)
      if (taken) return taken
      const asked = universalRequestFromNodeRequest(request, response, undefined, undefined)
      await universalResponseToNodeResponse(await handler!(asked), response)
    }
  }
}
