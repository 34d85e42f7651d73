// Hostile or broken peers: the server drops their connections, without harm to other callers.
import { once } from 'node:events'
import { connect as connectHttp2, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { IdentityService } from '../../gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { serve, type Served } from '../../services/lib/server/serve.ts'
import { grpcClient, stubServing } from '../support/serving.ts'

let calls = 0
const serving = stubServing([IdentityService], (router) =>
  router.service(IdentityService, {
    createToken: () => {
      calls += 1
      return {}
    },
    whoAmI: () => ({ principal: 'still here' }),
  }),
)
let served: Served
beforeAll(async () => {
  served = await serve(serving, { host: '127.0.0.1', port: 0 })
})
afterAll(() => served.close(0))
afterEach(async () => {
  const answer = await grpcClient(IdentityService, served.port, 'mk_reader').whoAmI({})
  expect(answer.principal).toBe('still here')
})

const CREATE_TOKEN = '/modelkeep.metadata.v1.IdentityService/CreateToken'
const MEBIBYTE = 1024 * 1024

function openSession(): ClientHttp2Session {
  return connectHttp2(`http://127.0.0.1:${served.port}`)
}

/** Sends `bytes` as the body of a gRPC call that stays open. Returns the headers or trailers that contain the status. */
async function sendOpen(session: ClientHttp2Session, bytes: Buffer, more: object = {}): Promise<IncomingHttpHeaders> {
  const stream = session.request({
    ':method': 'POST',
    ':path': CREATE_TOKEN,
    'content-type': 'application/grpc+proto',
    te: 'trailers',
    authorization: 'Bearer mk_admin',
    ...more,
  })
  stream.on('error', () => {})
  stream.resume()
  stream.write(bytes)
  return new Promise((resolve) => {
    const settle = (headers: IncomingHttpHeaders) => {
      if (headers['grpc-status'] === undefined && String(headers[':status']) === '200') return
      resolve(headers)
      stream.destroy()
    }
    stream.on('response', settle)
    stream.on('trailers', settle)
  })
}

function header(length: number, flags = 0): Buffer {
  const bytes = Buffer.alloc(5)
  bytes.writeUInt8(flags)
  bytes.writeUInt32BE(length, 1)
  return bytes
}

const RESOURCE_EXHAUSTED = '8'

test('rejects an announced message of 4 GiB without memory for it', async () => {
  const session = openSession()
  const before = memory()
  for (const length of [0xffff_ffff, 0x7fff_ffff, 4 * MEBIBYTE + 1]) {
    expect((await sendOpen(session, header(length)))['grpc-status']).toBe(RESOURCE_EXHAUSTED)
  }
  expect(memory() - before).toBeLessThan(64 * MEBIBYTE)
  session.destroy()
})

function memory(): number {
  return process.memoryUsage.rss()
}

test('uses little memory for a hundred calls that announce the largest message and send little of it', async () => {
  const session = openSession()
  const before = memory()
  const streams = Array.from({ length: 100 }, () => {
    const stream = session.request({
      ':method': 'POST',
      ':path': CREATE_TOKEN,
      'content-type': 'application/grpc+proto',
      te: 'trailers',
      authorization: 'Bearer mk_admin',
    })
    stream.on('error', () => {})
    stream.write(Buffer.concat([header(4 * MEBIBYTE), Buffer.alloc(100)]))
    return stream
  })
  await grpcClient(IdentityService, served.port, 'mk_reader').whoAmI({})
  expect(memory() - before).toBeLessThan(128 * MEBIBYTE)
  for (const stream of streams) stream.destroy()
  session.destroy()
})

test('rejects messages with an unknown encoding, or without the encoding that they have', async () => {
  const session = openSession()
  const status = async (bytes: Buffer, encoding: string) =>
    (await sendOpen(session, bytes, { 'grpc-encoding': encoding }))['grpc-status']
  const before = calls
  expect(await status(Buffer.concat([header(4, 1), Buffer.alloc(4)]), 'br')).toBe('12')
  expect(await status(Buffer.concat([header(4, 1), Buffer.alloc(4)]), 'identity')).toBe('13')
  expect(calls).toBe(before)
  session.destroy()
})

test.each([
  ['not gRPC', { 'content-type': 'text/plain' }, 415],
  ['an unknown path', { ':path': '/no.such.Service/Method' }, 404],
  ['no path of ours', { ':path': '/../../etc/passwd' }, 404],
  ['a GET', { ':method': 'GET' }, 405],
])('rejects %s with an HTTP status', async (_name, change, status) => {
  const session = openSession()
  expect((await sendOpen(session, Buffer.alloc(0), change))[':status']).toBe(status)
  session.destroy()
})

async function open(): Promise<Socket> {
  const socket = connect(served.port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const SETTINGS = '\0\0\0\u0004\0\0\0\0\0'

test.each([
  ['zeros', Buffer.alloc(4096)],
  ['noise', Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 7919) % 256))],
  ['a TLS hello', Buffer.from('1603010200010001fc0303', 'hex')],
  ['a broken preface', Buffer.from(`PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n${SETTINGS}`, 'latin1')],
  ['an oversized frame', Buffer.from(`${PREFACE}\u00ff\u00ff\u00ff\0\0\0\0\0\u0001`, 'latin1')],
  ['a frame of stream 0', Buffer.from(`${PREFACE}${SETTINGS}\0\0\u0001\0\0\0\0\0\0x`, 'latin1')],
  [
    'headers that are no HPACK',
    Buffer.from(`${PREFACE}${SETTINGS}\0\0\u0004\u0001\u0005\0\0\0\u0001\u00ff\u00ff\u00ff\u00ff`, 'latin1'),
  ],
  ['a line that never ends', Buffer.from(`GET /${'a'.repeat(40_000)}`)],
  ['headers that never end', Buffer.from(`GET / HTTP/1.1\r\n${'x: y\r\n'.repeat(20_000)}`)],
  ['two lengths', Buffer.from('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n')],
  [
    'a smuggled request',
    Buffer.from('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'),
  ],
])('drops a connection that sends %s', async (_name, bytes) => {
  const socket = await open()
  socket.resume()
  const closed = new Promise((resolve) => socket.on('close', resolve))
  socket.write(bytes)
  await closed
})

test('uses no CPU for idle connections that have sent a few bytes', async () => {
  const sockets = await Promise.all(Array.from({ length: 50 }, open))
  const sent = ['', 'P', 'PR', 'PRI', PREFACE.slice(0, 10), 'G', 'GET / HTTP/1.1\r\nhost: x']
  sockets.forEach((socket, index) => socket.write(sent[index % sent.length]!))
  await sleep(100)
  const before = performance.eventLoopUtilization()
  await sleep(300)
  // The utilization of a server that polled them would be 1.
  expect(performance.eventLoopUtilization(before).utilization).toBeLessThan(0.7)
  for (const socket of sockets) socket.destroy()
})

test('accepts a preface that arrives byte by byte', async () => {
  const socket = await open()
  for (const byte of `${PREFACE}${SETTINGS}`) {
    socket.write(byte, 'latin1')
    await new Promise((resolve) => setImmediate(resolve))
  }
  const [answer] = (await once(socket, 'data')) as [Buffer]
  // The first frame is SETTINGS.
  expect(answer[3]).toBe(4)
  socket.destroy()
  const plain = await open()
  for (const byte of 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n') plain.write(byte)
  expect(String(((await once(plain, 'data')) as [Buffer])[0])).toMatch(/^HTTP\/1.1 200/)
  plain.destroy()
})

test('closes the connection of a peer that disconnects in the middle of a request', async () => {
  for (const bytes of [
    PREFACE,
    `${PREFACE}${SETTINGS}\0\0`,
    'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nx',
  ]) {
    const socket = await open()
    socket.write(bytes, 'latin1')
    socket.resetAndDestroy()
  }
  const session = openSession()
  const stream = session.request({
    ':method': 'POST',
    ':path': CREATE_TOKEN,
    'content-type': 'application/grpc+proto',
    authorization: 'Bearer mk_admin',
  })
  stream.on('error', () => {})
  session.on('error', () => {})
  stream.write(header(100))
  await once(session, 'connect')
  session.destroy()
})
