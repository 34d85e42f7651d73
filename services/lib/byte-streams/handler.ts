// The zero-copy handler: it answers gRPC calls on HTTP/2 of methods that carry bytes, which it copies once at most, into
// recycled blocks, and of methods that are called very often, with less work and less garbage for each call. Gate,
// interceptors and handlers are those of the general adapter, which answers all other methods and all other protocols.
import type { DescMethod } from '@bufbuild/protobuf'
import { createMethodImplSpec, type ConnectRouter, type HandlerContext, type Interceptor } from '@connectrpc/connect'
import { createMethodUrl } from '@connectrpc/connect/protocol'
import type { IncomingMessage } from 'node:http'
import { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Connections } from '../server/limits/connections.ts'
import { answerCall, type CallOptions } from './call.ts'
import { limitItems } from '../server/limits/body-items.ts'
import { createDecode, createEncode } from './codec.ts'
import type { ChunkField } from './frames.ts'
import { invoke } from './invoke.ts'

/** A method for the zero-copy handler, and the fields of its messages that carry bytes. */
export interface ZeroCopyMethod {
  method: DescMethod
  request?: ChunkField
  response?: ChunkField
}

export interface ZeroCopyOptions {
  methods: ZeroCopyMethod[]
  requestGate: (context: HandlerContext) => Promise<void>
  interceptors: Interceptor[]
  readMaxBytes: number
  bodySeconds: number
  connections: Connections
  shutdownSignal: AbortSignal
}

type AnyRequest = IncomingMessage | Http2ServerRequest
type Run = (...inputs: never[]) => unknown
type Answer = (request: Http2ServerRequest, response: Http2ServerResponse) => Promise<void>

const CONTENT_TYPE = /^application\/grpc(\+proto)?$/i

export class ZeroCopyHandler {
  /** Number of calls that it has answered. */
  calls = 0
  readonly #options: ZeroCopyOptions
  readonly #answers = new Map<string, Answer>()

  constructor(options: ZeroCopyOptions) {
    this.#options = options
  }

  /** A router that registers implementations both with `router` and here. */
  wrap(router: ConnectRouter): ConnectRouter {
    const wrapped: ConnectRouter = {
      handlers: router.handlers,
      service: (service, implementation, options) => {
        router.service(service, implementation, options)
        const runs = implementation as Record<string, Run | undefined>
        for (const bytes of this.#options.methods) {
          const run = runs[bytes.method.localName]
          if (bytes.method.parent === service && run) this.#add(bytes, run.bind(implementation))
        }
        return wrapped
      },
      rpc: (method, implementation, options) => {
        router.rpc(method, implementation, options)
        return wrapped
      },
    }
    return wrapped
  }

  /** Answers the call; undefined when the general adapter must answer it. */
  answer(request: AnyRequest, response: object, path: string): Promise<void> | undefined {
    if (!(request instanceof Http2ServerRequest) || !(response instanceof Http2ServerResponse)) return undefined
    const { 'content-type': type = '', 'grpc-encoding': encoding = 'identity' } = request.headers
    if (request.method !== 'POST' || encoding !== 'identity' || !CONTENT_TYPE.test(type)) return undefined
    const run = this.#answers.get(path)
    if (!run) return undefined
    this.calls += 1
    return run(request, response)
  }

  #add({ method, request, response }: ZeroCopyMethod, run: Run): void {
    const { interceptors, requestGate, readMaxBytes, bodySeconds, connections, shutdownSignal } = this.#options
    const spec = createMethodImplSpec(method, run as never)
    const call: CallOptions = {
      method,
      requestChunk: request,
      readMaxBytes,
      bodySeconds,
      decode: createDecode(method.input, request, (bytes) => limitItems(method, bytes)),
      encode: createEncode(method.output, response),
      requestGate,
      invoke: (context, messages) => invoke(spec, context, interceptors, messages),
      connections,
      shutdownSignal,
    }
    this.#answers.set(createMethodUrl('/', method), (incoming, outgoing) => answerCall(call, incoming, outgoing))
  }
}
