// gRPC calls whose bytes a test splits into frames itself, and stock grpc-js clients of the same services.
import { create, fromBinary, toBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf'
import type { DescMethod, DescService } from '@bufbuild/protobuf'
import { credentials, makeGenericClientConstructor, Metadata, type Client } from '@grpc/grpc-js'
import { connect, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2'

export interface RawAnswer {
  headers: IncomingHttpHeaders
  trailers: IncomingHttpHeaders
  body: Buffer
}

export function envelope(message: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt8(flags)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

/** A field of type `bytes`, string or message. */
export function field(number: number, bytes: Uint8Array): Buffer {
  const length: number[] = []
  let rest = bytes.length
  for (; rest >= 0x80; rest >>>= 7) length.push((rest & 0x7f) | 0x80)
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length, rest]), bytes])
}

export class RawClient {
  readonly session: ClientHttp2Session
  readonly #token: string

  constructor(address: string, token = 'alice') {
    this.session = connect(address, { settings: { initialWindowSize: 65_535 } })
    this.session.on('error', () => {})
    this.#token = token
  }

  open(method: DescMethod, more: Record<string, string> = {}): ClientHttp2Stream {
    const stream = this.session.request({
      ':method': 'POST',
      ':path': `/${method.parent.typeName}/${method.name}`,
      'content-type': 'application/grpc',
      te: 'trailers',
      authorization: `Bearer ${this.#token}`,
      ...more,
    })
    stream.on('error', () => {})
    return stream
  }

  /** Sends each buffer as one DATA frame, and reads the response to its end. */
  async call(method: DescMethod, buffers: Uint8Array[], more: Record<string, string> = {}): Promise<RawAnswer> {
    const stream = this.open(method, more)
    const answer = readAnswer(stream)
    for (const buffer of buffers) {
      if (stream.destroyed || stream.closed) break
      await new Promise((resolve) => stream.write(buffer, resolve))
    }
    stream.end()
    return answer
  }

  close(): void {
    this.session.destroy()
  }
}

export function readAnswer(stream: ClientHttp2Stream): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const answer: RawAnswer = { headers: {}, trailers: {}, body: Buffer.alloc(0) }
    const chunks: Buffer[] = []
    stream.on('response', (headers) => (answer.headers = { ...headers }))
    stream.on('trailers', (trailers) => (answer.trailers = { ...trailers }))
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => stream.close())
    stream.on('close', () => resolve({ ...answer, body: Buffer.concat(chunks) }))
  })
}

/** Splits a body into its messages. */
export function readMessages<D extends DescMessage>(schema: D, body: Buffer): MessageShape<D>[] {
  const messages: MessageShape<D>[] = []
  for (let at = 0; at < body.length;) {
    const length = body.readUInt32BE(at + 1)
    messages.push(fromBinary(schema, body.subarray(at + 5, at + 5 + length)))
    at += 5 + length
  }
  return messages
}

export type StockClient = Client & Record<string, (...args: unknown[]) => unknown>

/** A grpc-js client; its methods are named as in the proto. */
export function stockClient(service: DescService, address: string, options: object = {}): StockClient {
  const definition = Object.fromEntries(
    service.methods.map((method) => [
      method.name,
      {
        path: `/${service.typeName}/${method.name}`,
        requestStream: method.methodKind === 'client_streaming',
        responseStream: method.methodKind === 'server_streaming',
        requestSerialize: (message: never) => asBuffer(toBinary(method.input, create(method.input, message))),
        requestDeserialize: (bytes: Buffer) => fromBinary(method.input, bytes),
        responseSerialize: (message: never) => asBuffer(toBinary(method.output, create(method.output, message))),
        responseDeserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
      },
    ]),
  )
  const Constructor = makeGenericClientConstructor(definition as never, service.typeName)
  return new Constructor(new URL(address).host, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    ...options,
  }) as never
}

function asBuffer({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length)
}

export function stockMetadata(token: string): Metadata {
  const metadata = new Metadata()
  metadata.set('authorization', `Bearer ${token}`)
  return metadata
}
