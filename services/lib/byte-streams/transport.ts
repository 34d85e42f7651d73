// The zero-copy client: it wraps a gRPC transport and carries the calls of methods with bytes without a copy of the bytes.
// Messages that arrive hold a `Chunk` in their chunk field: read it with `fromField`.
import type { DescMethodStreaming, Message } from '@bufbuild/protobuf'
import {
  Code,
  ConnectError,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type Transport,
} from '@connectrpc/connect'
import type { Http2SessionManager } from '@connectrpc/connect-node'
import { createMethodUrl, runStreamingCall } from '@connectrpc/connect/protocol'
import { requestHeader, validateResponse, validateTrailer } from '@connectrpc/connect/protocol-grpc'
import { constants, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2'
import { createDecode, createEncode } from './codec.ts'
import { FrameReader } from './frames.ts'
import type { ZeroCopyMethod } from './handler.ts'
import { readFrames, writeFrame } from './stream.ts'

export interface ZeroCopyTransportOptions {
  /** Carries the calls of all other methods. */
  general: Transport
  sessionManager: Http2SessionManager
  baseUrl: string
  methods: ZeroCopyMethod[]
  interceptors: Interceptor[]
  readMaxBytes: number
}

export function createZeroCopyTransport(options: ZeroCopyTransportOptions): Transport {
  const { general, methods, interceptors, baseUrl } = options
  return {
    unary: (...parameters) => general.unary(...parameters),
    stream(method, signal, timeoutMs, header, input, contextValues) {
      const bytes = methods.find((known) => known.method === method)
      if (!bytes) return general.stream(method, signal, timeoutMs, header, input, contextValues)
      const time = timeoutMs === undefined || timeoutMs <= 0 ? {} : { timeoutMs }
      return runStreamingCall({
        interceptors,
        ...(signal ? { signal } : {}),
        ...time,
        req: {
          stream: true,
          service: method.parent,
          method,
          requestMethod: 'POST',
          url: createMethodUrl(baseUrl, method),
          header: requestHeader(true, time.timeoutMs, header),
          contextValues: contextValues as never,
          message: input,
        },
        next: (request) => call(options, bytes, request as never) as never,
      })
    },
  }
}

async function call(
  { sessionManager, readMaxBytes }: ZeroCopyTransportOptions,
  { method, request, response }: ZeroCopyMethod,
  outgoing: StreamRequest,
): Promise<StreamResponse> {
  const { pathname } = new URL(outgoing.url)
  const stream = await sessionManager.request('POST', pathname, Object.fromEntries(outgoing.header.entries()), {})
  const stop = (): void => stream.close(constants.NGHTTP2_CANCEL)
  outgoing.signal.addEventListener('abort', stop, { once: true })
  stream.once('close', () => outgoing.signal.removeEventListener('abort', stop))
  if (outgoing.signal.aborted) stop()
  const trailer = new Headers()
  stream.on('trailers', (trailers: IncomingHttpHeaders) => copyHeaders(trailers, trailer))
  stream.on('data', () => sessionManager.notifyResponseByteRead(stream)).pause()
  stream.on('error', () => {})
  const responded = headersOf(stream, outgoing.signal)
  // A failure to send shows in the response, or in its absence.
  send(stream, outgoing.message, createEncode(method.input, request)).catch(() => undefined)
  const { status, header } = await responded
  const { headerError } = validateResponse(status, header)
  const decode = createDecode(method.output, response)
  const reader = new FrameReader(readMaxBytes, response)
  const { signal } = outgoing
  const closedCode = Code.Unavailable
  async function* receive(): AsyncGenerator<Message> {
    for await (const frame of readFrames(stream, reader, { signal, closedCode })) yield decode(frame)
    if (headerError) throw headerError
    validateTrailer(trailer, header)
  }
  return {
    stream: true,
    service: method.parent,
    method: method as DescMethodStreaming,
    header,
    trailer,
    message: receive(),
  }
}

async function send(
  stream: ClientHttp2Stream,
  messages: AsyncIterable<Message>,
  encode: (message: Message) => Uint8Array[],
): Promise<void> {
  try {
    for await (const message of messages) await writeFrame(stream, encode(message))
    stream.end()
  } catch (error) {
    stream.close(constants.NGHTTP2_CANCEL)
    throw error
  }
}

function headersOf(stream: ClientHttp2Stream, signal: AbortSignal): Promise<{ status: number; header: Headers }> {
  return new Promise((resolve, reject) => {
    stream.once('response', (headers: IncomingHttpHeaders & { ':status'?: number }) =>
      resolve({ status: headers[':status'] ?? 0, header: copyHeaders(headers, new Headers()) }),
    )
    stream.once('close', () => {
      const reason = signal.aborted ? (signal.reason as unknown) : new Error('the connection was lost')
      reject(ConnectError.from(reason, Code.Unavailable))
    })
  })
}

function copyHeaders(from: IncomingHttpHeaders, to: Headers): Headers {
  for (const [name, value] of Object.entries(from)) {
    if (name.startsWith(':') || value === undefined) continue
    for (const one of [value].flat()) to.append(name, one)
  }
  return to
}
