// Bodies and deadlines that clients send, of every kind and in every protocol: late, malformed, compressed.
import { create, toBinary } from '@bufbuild/protobuf'
import { once } from 'node:events'
import { connect as connectHttp2, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CreateTokenRequestSchema, IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { MAX_MESSAGE_BYTES, serve, type Served } from '#lib/server/serve.ts'
import { readAnswer } from '../support/raw-grpc.ts'
import { stubServing } from '../support/serving.ts'
import { WIRE_CALLS } from '../support/wire-call.ts'

const PATH = '/modelkeep.metadata.v1.IdentityService/CreateToken'
const BODY_SECONDS = 0.3
const token = 'mk_admin'

const serving = stubServing([IdentityService], (router) =>
  router.service(IdentityService, {
    async createToken({ description }, { signal, timeoutMs }) {
      // A timer of one millisecond that was set before the call would have fired by then.
      await sleep(5)
      signal.throwIfAborted()
      return { secret: description, token: { description: String(timeoutMs() ?? 'none') } }
    },
  }),
)
const zeroCopyMethods = [{ method: IdentityService.method.createToken }]
let general: Served
let zeroCopy: Served
beforeAll(async () => {
  const address = { host: '127.0.0.1', port: 0, bodySeconds: BODY_SECONDS }
  general = await serve(serving, address)
  zeroCopy = await serve({ ...serving, zeroCopyMethods }, address)
})
afterAll(() => Promise.all([general.close(0), zeroCopy.close(0)]))

const CALLS = [
  ...Object.entries(WIRE_CALLS).map(([name, send]) => ({ name, send, served: () => general })),
  { name: 'zero-copy gRPC', send: WIRE_CALLS['gRPC']!, served: () => zeroCopy },
]

function messageOf(description: string): Buffer {
  return Buffer.from(toBinary(CreateTokenRequestSchema, create(CreateTokenRequestSchema, { description })))
}

describe.each(CALLS)('$name', ({ send, served }) => {
  const call = (body: Buffer, more: { encoding?: string; headers?: Record<string, string> } = {}) =>
    send(`http://127.0.0.1:${served().port}`, { path: PATH, token, body, ...more })

  test.each([
    ['a field that ends early', Buffer.from([0x0a, 0x05, 0x61])],
    ['a wrong wire type', Buffer.from([0x0f])],
    ['noise', Buffer.from('f0e1d2c3b4a5968778695a4b', 'hex')],
  ])('rejects a body with %s as bad input', async (_name, body) => {
    const { code, message } = await call(body)
    expect(code).toBe('InvalidArgument')
    expect(message).toMatch(/^parse binary: /)
  })

  test('accepts a gzip body, and does not compress the response', async () => {
    const description = 'x'.repeat(10_000)
    const answer = await call(gzipSync(messageOf(description)), {
      encoding: 'gzip',
      headers: { 'accept-encoding': 'gzip', 'grpc-accept-encoding': 'gzip' },
    })
    expect(answer.code).toBe('OK')
    expect(answer.bytes.includes(description)).toBe(true)
    expect(answer.headers.get('content-encoding')).toBe(null)
  })

  test('rejects a gzip body that is larger than a message once it is unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(MAX_MESSAGE_BYTES + 1))
    expect(await call(bomb, { encoding: 'gzip' })).toMatchObject({ code: 'ResourceExhausted' })
  })

  test.each([
    ['ends early', gzipSync(messageOf('x'.repeat(100))).subarray(0, 20)],
    ['is not gzip', Buffer.from('not gzip at all')],
  ])('rejects a gzip body that %s as bad input', async (_name, body) => {
    expect(await call(body, { encoding: 'gzip' })).toMatchObject({ code: 'InvalidArgument' })
  })

  test('names an encoding that it does not accept, and the one that it does', async () => {
    const { code, message } = await call(messageOf('x'), { encoding: 'zstd' })
    expect([code, message]).toEqual(['Unimplemented', 'unknown compression "zstd": supported encodings are gzip'])
  })

  test.each(['600H', '2147484S', '99999999H', '35792M'])('accepts the long deadline %s', async (deadline) => {
    const milliseconds = { '600H': 2_160_000_000, '2147484S': 2_147_484_000, '35792M': 2_147_520_000 }[deadline]
    const headers = { 'grpc-timeout': deadline, 'connect-timeout-ms': String(milliseconds ?? 9_999_999_999) }
    const answer = await call(messageOf('x'), { headers })
    expect(answer.code).toBe('OK')
    expect(Number(/\d{4,}/.exec(answer.bytes.toString('latin1'))![0])).toBeGreaterThan(24 * 24 * 3_600_000)
  })
})

const STARTS = { nothing: Buffer.alloc(0), 'the head of a message': Buffer.from('00000003e8', 'hex') }

describe.each([
  ['zero-copy gRPC', 'application/grpc', () => zeroCopy],
  ['gRPC', 'application/grpc', () => general],
  ['gRPC-Web', 'application/grpc-web+proto', () => general],
  ['Connect', 'application/proto', () => general],
] as const)('%s over HTTP/2', (_name, type, served) => {
  test.each(Object.entries(STARTS))('ends a call that sends %s and no end', async (_start, bytes) => {
    const { session, stream } = openUnfinished(served(), type)
    if (bytes.length > 0) stream.write(bytes)
    expect(await lateAnswer(stream)).toContain(LATE)
    session.destroy()
  })

  test('ends a call whose body trickles', async () => {
    const { session, stream } = openUnfinished(served(), type)
    stream.write(STARTS['the head of a message'])
    const trickle = setInterval(() => stream.write('x'), 20)
    stream.once('response', () => clearInterval(trickle))
    expect(await lateAnswer(stream)).toContain(LATE)
    session.destroy()
  })
})

const LATE = 'request body did not arrive within 0.3 seconds'

/** The error, where the protocol puts it: in the trailers, or in the body. */
async function lateAnswer(stream: ClientHttp2Stream): Promise<string> {
  const { headers, trailers, body } = await readAnswer(stream)
  return readable([headers['grpc-message'], trailers['grpc-message'], body].join(''))
}

function readable(text: string): string {
  return text.replaceAll('%20', ' ')
}

test('fails a call over HTTP/1.1 whose body does not arrive, and closes the transport of an unfinished call', async () => {
  const types = ['application/json', 'application/proto', 'application/grpc-web+proto']
  const http1 = types.map(async (type) => {
    const socket = connect(general.port, '127.0.0.1')
    const lines = [`POST ${PATH} HTTP/1.1`, 'host: x', `authorization: Bearer ${token}`, `content-type: ${type}`]
    socket.write(`${lines.join('\r\n')}\r\ncontent-length: 100\r\n\r\n{`)
    let text = ''
    socket.on('data', (bytes: Buffer) => (text += bytes.toString()))
    await once(socket, 'close')
    expect(readable(text)).toContain(LATE)
  })
  const http2 = [general, zeroCopy].map(async (served) => {
    const { session, stream } = openUnfinished(served, 'application/grpc')
    stream.resume()
    await once(stream, 'close')
    session.destroy()
  })
  await Promise.all([...http1, ...http2])
})

function openUnfinished(served: Served, type: string): { session: ClientHttp2Session; stream: ClientHttp2Stream } {
  const session = connectHttp2(`http://127.0.0.1:${served.port}`)
  session.on('error', () => {})
  const head = { ':method': 'POST', ':path': PATH, 'content-type': type, authorization: `Bearer ${token}` }
  const stream = session.request(head, { endStream: false })
  stream.on('error', () => {})
  return { session, stream }
}
