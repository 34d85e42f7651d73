// One call that a zero-copy handler answers: the gRPC protocol, spoken on the HTTP/2 stream itself.
import type { DescMethod, Message } from '@bufbuild/protobuf'
import { Code, ConnectError, createContextValues, createHandlerContext, type HandlerContext } from '@connectrpc/connect'
import { contentTypeProto, grpcStatusOk, parseTimeout, setTrailerStatus } from '@connectrpc/connect/protocol-grpc'
import type { IncomingHttpHeaders } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse, Http2Stream } from 'node:http2'
import { BodyTimer, hasOneRequest } from '../server/limits/body-timer.ts'
import { CallConnection, connectionKey, type Connections } from '../server/limits/connections.ts'
import { MAX_TIMER_MS } from '../server/limits/deadline.ts'
import type { Decode, Encode } from './codec.ts'
import { carriesChunksKey } from './chunk.ts'
import { FrameReader, type ChunkField } from './frames.ts'
import { LINGER_MS, readFrames, writeFrame } from './stream.ts'

export interface CallOptions {
  method: DescMethod
  requestChunk: ChunkField | undefined
  readMaxBytes: number
  /** Time limit for the body of a call with one request message. */
  bodySeconds: number
  decode: Decode
  encode: Encode
  requestGate: (context: HandlerContext) => Promise<void>
  /** Runs the interceptors and the handler. */
  invoke: (context: HandlerContext, messages: AsyncIterable<Message>) => AsyncIterable<Message>
  connections: Connections
  shutdownSignal: AbortSignal
}

type Context = ReturnType<typeof createHandlerContext>

/** HTTP/2 delivers 16 KiB at a time: to pass on each buffer costs more than to copy them together. */
const MIN_VIEW_BYTES = 64 * 1024
/** Created once, because every call ends with it and an error is slow to create. */
const CALL_ENDED = new ConnectError('the call has ended', Code.Canceled)

export async function answerCall(
  options: CallOptions,
  request: Http2ServerRequest,
  response: Http2ServerResponse,
): Promise<void> {
  const { stream } = request
  const { context, timeoutError } = openContext(options, request, response)
  let answers: AsyncIterator<Message> | undefined
  try {
    await options.requestGate(context)
    answers = options.invoke(context, readMessages(options, stream, context, timeoutError))[Symbol.asyncIterator]()
    await writeMessages(answers, (message) => {
      if (!response.headersSent) response.writeHead(200, toNodeHeaders(context.responseHeader))
      return writeFrame(stream, options.encode(message))
    })
    context.abort(CALL_ENDED)
  } catch (error) {
    context.abort(error)
    answers?.return?.().catch(() => undefined)
    setTrailerStatus(context.responseTrailer, presentError(error))
  }
  end(stream, response, context)
}

function openContext(options: CallOptions, request: Http2ServerRequest, response: Http2ServerResponse) {
  const header = toWebHeaders(request.headers)
  const timeout = parseTimeout(header.get('grpc-timeout'), Number.MAX_SAFE_INTEGER)
  const context = createHandlerContext({
    method: options.method,
    service: options.method.parent,
    protocolName: 'grpc',
    requestMethod: 'POST',
    url: `http://${request.authority}${request.url}`,
    ...(timeout.timeoutMs === undefined ? {} : { timeoutMs: Math.min(timeout.timeoutMs, MAX_TIMER_MS) }),
    shutdownSignal: options.shutdownSignal,
    requestHeader: header,
    responseHeader: { 'content-type': contentTypeProto },
    responseTrailer: { 'grpc-status': grpcStatusOk },
    contextValues: createContextValues()
      .set(carriesChunksKey, true)
      .set(connectionKey, new CallConnection(options.connections, request.socket)),
  })
  response.stream.once('close', () => {
    if (!context.signal.aborted) context.abort(new ConnectError('the client closed the stream', Code.Canceled))
  })
  return { context, timeoutError: timeout.error }
}

async function* readMessages(
  { method, readMaxBytes, requestChunk, bodySeconds, decode }: CallOptions,
  stream: Http2Stream,
  context: Context,
  timeoutError: ConnectError | undefined,
): AsyncGenerator<Message> {
  if (timeoutError) throw timeoutError
  const reader = new FrameReader(readMaxBytes, requestChunk, MIN_VIEW_BYTES)
  const { signal } = context
  using timer = hasOneRequest(method) ? new BodyTimer(bodySeconds, (late) => context.abort(late)) : undefined
  for await (const frame of readFrames(stream, reader, { signal, timer })) yield decode(frame)
}

/** Requests the next message while the last one is being written. */
async function writeMessages(
  answers: AsyncIterator<Message>,
  write: (message: Message) => Promise<void>,
): Promise<void> {
  let next = answers.next()
  for (let result = await next; !result.done; result = await next) {
    next = answers.next()
    next.catch(() => undefined)
    await write(result.value)
  }
}

function presentError(error: unknown): ConnectError {
  return error instanceof ConnectError
    ? error
    : new ConnectError('internal error', Code.Internal, undefined, undefined, error)
}

function end(stream: Http2Stream, response: Http2ServerResponse, context: Context): void {
  if (stream.destroyed) return
  if (!response.headersSent) response.writeHead(200, toNodeHeaders(context.responseHeader))
  response.addTrailers(toNodeHeaders(context.responseTrailer))
  response.end()
  // Bytes that a Node client has queued and cannot send would count against the memory of its session forever.
  stream.resume()
  const timer = setTimeout(() => stream.close(), LINGER_MS)
  stream.once('close', () => clearTimeout(timer))
}

function toWebHeaders(headers: IncomingHttpHeaders): Headers {
  const web = new Headers()
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(':')) continue
    for (const one of Array.isArray(value) ? value : [value]) web.append(name, one)
  }
  return web
}

function toNodeHeaders(headers: Headers): Record<string, string> {
  return Object.fromEntries(headers.entries())
}
