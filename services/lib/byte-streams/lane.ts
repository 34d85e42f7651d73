// The methods that carry bytes, answered without copying them, and those that are asked often, with less to do and to
// collect for each: the same gate, interceptors and handlers as those of the general adapter, which answers whatever else
// is asked and whoever asks in another way than gRPC on HTTP/2.
import type { DescMethod } from '@bufbuild/protobuf'
import { createMethodImplSpec, type ConnectRouter, type HandlerContext, type Interceptor } from '@connectrpc/connect'
import { createMethodUrl } from '@connectrpc/connect/protocol'
import type { IncomingMessage } from 'node:http'
import { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { answerCall, type CallOptions } from './call.ts'
import { createDecode, createEncode } from './codec.ts'
import type { ChunkField } from './frames.ts'
import { invoke } from './invoke.ts'

/** A method, and the fields of its messages that carry bytes. */
export interface FastMethod {
  method: DescMethod
  request?: ChunkField
  response?: ChunkField
}

export interface FastLaneOptions {
  methods: FastMethod[]
  requestGate: (context: HandlerContext) => Promise<void>
  interceptors: Interceptor[]
  readMaxBytes: number
  shutdownSignal: AbortSignal
}

type Asked = IncomingMessage | Http2ServerRequest
type Run = (...inputs: never[]) => unknown
type Answer = (request: Http2ServerRequest, response: Http2ServerResponse) => Promise<void>

const CONTENT_TYPE = /^application\/grpc(\+proto)?$/i

export class FastLane {
  /** Calls that came this way. */
  calls = 0
  readonly #options: FastLaneOptions
  readonly #answers = new Map<string, Answer>()

  constructor(options: FastLaneOptions) {
    this.#options = options
  }

  /** Tells both `router` and this lane of the implementations. */
  watch(router: ConnectRouter): ConnectRouter {
    const watching: ConnectRouter = {
      handlers: router.handlers,
      service: (service, implementation, options) => {
        router.service(service, implementation, options)
        const runs = implementation as Record<string, Run | undefined>
        for (const bytes of this.#options.methods) {
          const run = runs[bytes.method.localName]
          if (bytes.method.parent === service && run) this.#add(bytes, run.bind(implementation))
        }
        return watching
      },
      rpc: (method, implementation, options) => {
        router.rpc(method, implementation, options)
        return watching
      },
    }
    return watching
  }

  /** The answer to the call; undefined where the general adapter has to. */
  take(request: Asked, response: object, path: string): Promise<void> | undefined {
    if (!(request instanceof Http2ServerRequest) || !(response instanceof Http2ServerResponse)) return undefined
    const { 'content-type': type = '', 'grpc-encoding': encoding = 'identity' } = request.headers
    if (request.method !== 'POST' || encoding !== 'identity' || !CONTENT_TYPE.test(type)) return undefined
    const answer = this.#answers.get(path)
    if (!answer) return undefined
    this.calls += 1
    return answer(request, response)
  }

  #add({ method, request, response }: FastMethod, run: Run): void {
    const { interceptors, requestGate, readMaxBytes, shutdownSignal } = this.#options
    const spec = createMethodImplSpec(method, run as never)
    const call: CallOptions = {
      method,
      requestChunk: request,
      readMaxBytes,
      decode: createDecode(method.input, request),
      encode: createEncode(method.output, response),
      requestGate,
      invoke: (context, messages) => invoke(spec, context, interceptors, messages),
      shutdownSignal,
    }
    this.#answers.set(createMethodUrl('/', method), (asked, answer) => answerCall(call, asked, answer))
  }
}
