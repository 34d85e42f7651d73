// Unary calls whose bytes a test chooses, in every protocol of the door.
import { Code } from '@connectrpc/connect'
import { codeFromString } from '@connectrpc/connect/protocol-connect'
import { findTrailerError } from '@connectrpc/connect/protocol-grpc'
import { connect, type IncomingHttpHeaders } from 'node:http2'
import { envelope } from './raw-grpc.ts'

export interface WireRequest {
  /** The path of the RPC, for example `/modelkeep.metadata.v1.IdentityService/CreateToken`. */
  path: string
  token: string
  body: Buffer
  /** The encoding of the body. */
  encoding?: string
  headers?: Record<string, string>
}

export interface WireAnswer {
  /** The name of the code, or `OK`. */
  code: string
  message: string
  headers: Headers
  /** The body of the response. */
  bytes: Buffer
}

type Send = (address: string, request: WireRequest) => Promise<WireAnswer>

export const WIRE_CALLS: Record<string, Send> = {
  gRPC: sendGrpc,
  'gRPC-Web over HTTP/1.1': sendGrpcWeb,
  'Connect over HTTP/1.1': sendConnect,
  'Connect over HTTP/2': (address, request) =>
    sendHttp2(address, request, connectHeaders(request), request.body).then(({ headers, bytes }) =>
      readConnect(headers, bytes),
    ),
}

async function sendGrpc(address: string, request: WireRequest): Promise<WireAnswer> {
  const encoding = request.encoding ? { 'grpc-encoding': request.encoding } : undefined
  const head = { 'content-type': 'application/grpc', te: 'trailers', ...encoding }
  const sent = await sendHttp2(address, request, head, framed(request))
  const error = findTrailerError(sent.trailers.has('grpc-status') ? sent.trailers : sent.headers)
  return { code: error ? Code[error.code] : 'OK', message: error?.rawMessage ?? '', ...sent }
}

async function sendGrpcWeb(address: string, request: WireRequest): Promise<WireAnswer> {
  const encoding = request.encoding ? { 'grpc-encoding': request.encoding } : undefined
  const head = { 'content-type': 'application/grpc-web+proto', ...encoding }
  const { headers, bytes } = await sendHttp1(address, request, head, framed(request))
  const error = findTrailerError(webTrailers(bytes))
  return { code: error ? Code[error.code] : 'OK', message: error?.rawMessage ?? '', headers, bytes }
}

async function sendConnect(address: string, request: WireRequest): Promise<WireAnswer> {
  const { headers, bytes } = await sendHttp1(address, request, connectHeaders(request), request.body)
  return readConnect(headers, bytes)
}

function connectHeaders({ encoding }: WireRequest): Record<string, string> {
  return { 'content-type': 'application/proto', ...(encoding ? { 'content-encoding': encoding } : undefined) }
}

function framed({ body, encoding }: WireRequest): Buffer {
  return envelope(body, encoding ? 1 : 0)
}

function readConnect(headers: Headers, bytes: Buffer): WireAnswer {
  if (headers.get('content-type') !== 'application/json') return { code: 'OK', message: '', headers, bytes }
  const { code, message = '' } = JSON.parse(bytes.toString()) as { code: string; message?: string }
  return { code: Code[codeFromString(code)!], message, headers, bytes }
}

async function sendHttp1(address: string, request: WireRequest, head: Record<string, string>, body: Buffer) {
  const headers = { ...head, authorization: `Bearer ${request.token}`, ...request.headers }
  const answer = await fetch(address + request.path, { method: 'POST', headers, body: new Uint8Array(body) })
  return { headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) }
}

async function sendHttp2(address: string, request: WireRequest, head: Record<string, string>, body: Buffer) {
  const session = connect(address)
  session.on('error', () => {})
  const own = { ':method': 'POST', ':path': request.path, authorization: `Bearer ${request.token}` }
  const stream = session.request({ ...own, ...head, ...request.headers })
  stream.on('error', () => {})
  stream.end(body)
  let headers = new Headers()
  let trailers = new Headers()
  stream.on('response', (received) => (headers = asHeaders(received)))
  stream.on('trailers', (received) => (trailers = asHeaders(received)))
  const bytes = Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Buffer>))
  session.close()
  return { headers, trailers, bytes }
}

function asHeaders(headers: IncomingHttpHeaders): Headers {
  const plain = Object.entries(headers).filter(([name]) => !name.startsWith(':'))
  return new Headers(plain.map(([name, value]): [string, string] => [name, String(value)]))
}

/** The trailers are the last message of the body. */
function webTrailers(body: Buffer): Headers {
  for (let at = 0; at < body.length;) {
    const length = body.readUInt32BE(at + 1)
    const content = body.subarray(at + 5, at + 5 + length)
    if ((body[at]! & 0x80) !== 0) return new Headers(content.toString().trim().split('\r\n').map(splitLine))
    at += 5 + length
  }
  return new Headers()
}

function splitLine(line: string): [string, string] {
  const at = line.indexOf(':')
  return [line.slice(0, at), line.slice(at + 1).trim()]
}
