// Calls without a client library, over gRPC or as JSON, so that a test can send any message.
import type { DescMethod } from '@bufbuild/protobuf'
import { Code, ConnectError } from '@connectrpc/connect'
import { endStreamFromJson, errorFromJson } from '@connectrpc/connect/protocol-connect'
import { findTrailerError } from '@connectrpc/connect/protocol-grpc'
import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import { envelope } from './raw-grpc.ts'

const PATIENCE_MS = 30_000

export interface HandAnswer {
  /** Absent if the call succeeded. */
  error?: ConnectError
  /** The request id in the events of the service. */
  requestId: string
}

export interface HandCall {
  method: DescMethod
  token: string
  /** Whether the response stream has no end, so that the call stops at its first message. */
  endless: boolean
}

export class HandClient {
  readonly #address: string
  #session: ClientHttp2Session

  constructor(address: string) {
    this.#address = address
    this.#session = this.#connect()
  }

  #connect(): ClientHttp2Session {
    const session = connect(this.#address)
    session.on('error', () => {})
    return session
  }

  close(): void {
    this.#session.destroy()
  }

  /** `messages` are in the binary format of protobuf. */
  grpc(call: HandCall, messages: Uint8Array[]): Promise<HandAnswer> {
    if (this.#session.destroyed || this.#session.closed) this.#session = this.#connect()
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': pathOf(call.method),
      'content-type': 'application/grpc',
      te: 'trailers',
      authorization: `Bearer ${call.token}`,
    })
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${call.method.name} gave no answer`)), PATIENCE_MS)
      let requestId = ''
      const settle = (error?: ConnectError): void => {
        clearTimeout(late)
        stream.close()
        resolve({ requestId, ...(error && { error }) })
      }
      const onHeaders = (headers: IncomingHttpHeaders): void => {
        requestId ||= String(headers['x-request-id'] ?? '')
        if (headers['grpc-status'] !== undefined) settle(findTrailerError(asHeaders(headers)))
      }
      stream.on('response', onHeaders)
      stream.on('trailers', onHeaders)
      stream.on('data', () => call.endless && settle())
      stream.on('error', (error) => settle(new ConnectError(error.message, Code.Unknown)))
      stream.on('close', () => settle(new ConnectError('the stream was cut', Code.Unknown)))
      stream.end(Buffer.concat(messages.map((message) => envelope(message))))
    })
  }

  /** `messages` are in the JSON format of protobuf. */
  async json({ method, token, endless }: HandCall, messages: string[]): Promise<HandAnswer> {
    const isUnary = method.methodKind === 'unary'
    const frames = messages.map((message) => envelope(Buffer.from(message)))
    const answer = await fetch(this.#address + pathOf(method), {
      method: 'POST',
      headers: {
        'content-type': isUnary ? 'application/json' : 'application/connect+json',
        authorization: `Bearer ${token}`,
      },
      body: isUnary ? messages[0]! : Buffer.concat(frames),
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    const requestId = answer.headers.get('x-request-id') ?? ''
    if (endless && answer.ok) {
      const reader = answer.body!.getReader()
      const { value } = await reader.read()
      await reader.cancel()
      return { requestId, ...endOf(Buffer.from(value)) }
    }
    const body = Buffer.from(await answer.arrayBuffer())
    if (!isUnary && answer.ok) return { requestId, ...endOf(body) }
    if (answer.ok) return { requestId }
    const fallback = new ConnectError(`HTTP ${answer.status}`, Code.Unknown)
    return { requestId, error: errorFromJson(JSON.parse(body.toString()) as never, answer.headers, fallback) }
  }
}

/** Returns the error at the end of a stream, if there is one. */
function endOf(body: Buffer): { error?: ConnectError } {
  for (let at = 0; at < body.length;) {
    const length = body.readUInt32BE(at + 1)
    const isEnd = (body[at]! & 2) !== 0
    const content = body.subarray(at + 5, at + 5 + length)
    if (isEnd) {
      const { error } = endStreamFromJson(content)
      return error ? { error: ConnectError.from(error) } : {}
    }
    at += 5 + length
  }
  return {}
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`
}

function asHeaders(headers: IncomingHttpHeaders): Headers {
  const plain = Object.entries(headers).filter(([name]) => !name.startsWith(':'))
  return new Headers(plain.map(([name, value]): [string, string] => [name, String(value)]))
}
