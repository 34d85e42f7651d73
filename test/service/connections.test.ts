// The limits on the connections of a server.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { Agent, get, request as requestHttp1 } from 'node:http'
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { Health } from '#gen/health/v1/health_pb.ts'
import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { defaultMaxPerAddress } from '#lib/server/limits/connections.ts'
import type { Address } from '#lib/server/listen.ts'
import { serve, type Served } from '#lib/server/serve.ts'
import { envelope, readAnswer } from '../support/raw-grpc.ts'
import { stubServing } from '../support/serving.ts'

const HOST = '127.0.0.1'
const OTHER_HOST = '127.0.0.2'
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0', 'latin1')
const WHO_AM_I = '/modelkeep.metadata.v1.IdentityService/WhoAmI'
const TILE = '/tile'

const identity = stubServing([IdentityService], (router) =>
  router.service(IdentityService, { whoAmI: () => ({ principal: 'still here' }) }),
)
const serving = {
  ...identity,
  plain: async (path: string, admit: (method: typeof IdentityService.method.whoAmI) => Promise<void>) => {
    if (path !== TILE) return undefined
    await admit(IdentityService.method.whoAmI)
    return { type: 'text/plain', cache: 'no-store', body: 'a tile' }
  },
}
const zeroCopyMethods = [{ method: IdentityService.method.whoAmI }]

let served: Served
const open: { destroy(): void }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) one.destroy()
  await served.close(0)
})

async function start(limits: Partial<Address>, isFast = false): Promise<void> {
  served = await serve({ ...serving, ...(isFast ? { zeroCopyMethods } : {}) }, { host: HOST, port: 0, ...limits })
}

function openSocket(bytes: Buffer | string = '', localAddress = HOST): Socket {
  const socket = connect({ host: HOST, port: served.port, localAddress })
  socket.on('error', () => {}).resume()
  if (bytes.length > 0) socket.write(bytes)
  open.push(socket)
  return socket
}

function openSession(localAddress = HOST): ClientHttp2Session {
  const session = connectHttp2(`http://${HOST}:${served.port}`, {
    createConnection: () => connect({ host: HOST, port: served.port, localAddress }),
  })
  session.on('error', () => {})
  open.push(session)
  return session
}

async function whoAmI(session: ClientHttp2Session, token = 'mk_reader'): Promise<string> {
  const head = { ':method': 'POST', ':path': WHO_AM_I, 'content-type': 'application/grpc' }
  const stream = session.request({ ...head, authorization: `Bearer ${token}` })
  stream.on('error', () => {})
  stream.end(envelope(Buffer.alloc(0)))
  const { headers, trailers } = await readAnswer(stream)
  return String(trailers['grpc-status'] ?? headers['grpc-status'] ?? 'broken')
}

function watchHealth(session: ClientHttp2Session): void {
  const path = `/${Health.typeName}/${Health.method.watch.name}`
  const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' })
  stream.on('error', () => {}).resume()
  stream.end(envelope(Buffer.alloc(0)))
}

const UNAUTHENTICATED: Record<string, () => Socket | ClientHttp2Session> = {
  'sends nothing': () => openSocket(),
  'sends half a preface': () => openSocket(PREFACE.subarray(0, 10)),
  'sends a preface': () => openSocket(PREFACE),
  'sends half a request': () => openSocket('GET / HTTP/1.1\r\nhost: x'),
  'sends headers without a body': () => openSocket(`POST ${WHO_AM_I} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n`),
  'watches the health': () => {
    const session = openSession()
    watchHealth(session)
    return session
  },
  'sends a wrong token': () => {
    const session = openSession()
    void whoAmI(session, 'mk_unknown')
    return session
  },
}

test.each(Object.entries(UNAUTHENTICATED))('closes within seconds a connection that %s', async (_name, connectSo) => {
  await start({ authenticateSeconds: 0.3 })
  await once(connectSo(), 'close')
})

test('ends a connection over HTTP/1.1 with the answer to a request for health', async () => {
  await start({})
  const agent = new Agent({ keepAlive: true })
  const [answer] = await once(get({ agent, host: HOST, port: served.port, path: '/healthz' }), 'response')
  expect(answer.headers).toMatchObject({ connection: 'close' })
  agent.destroy()
})

describe.each([
  ['the general adapter', false],
  ['the zero-copy handler', true],
])('%s', (_name, isFast) => {
  test('does not close an HTTP/2 connection with an authenticated call', async () => {
    await start({ authenticateSeconds: 0.3 }, isFast)
    const session = openSession()
    expect(await whoAmI(session)).toBe('0')
    // Another connection that is younger reaches the time limit.
    await once(openSocket(PREFACE), 'close')
    expect(await whoAmI(session)).toBe('0')
  })
})

test('does not close a TLS connection with an authenticated call', async () => {
  const [cert, key] = await Promise.all(
    ['cert', 'key'].map((name) => readFile(new URL(`../support/tls/localhost.${name}.pem`, import.meta.url), 'utf8')),
  )
  await start({ authenticateSeconds: 0.5, tls: { cert: cert!, key: key! } })
  const session = connectHttp2(`https://${HOST}:${served.port}`, { ca: cert! })
  open.push(session)
  expect(await whoAmI(session)).toBe('0')
  await Promise.all([openSocket(), openSocket(PREFACE)].map((socket) => once(socket, 'close')))
  expect(await whoAmI(session)).toBe('0')
})

test.each([
  ['a call', 'POST', WHO_AM_I],
  ['a request without RPC', 'GET', TILE],
])('does not close an HTTP/1.1 connection with %s that is authenticated', async (_name, method, path) => {
  await start({ authenticateSeconds: 0.3 })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const call = async () => {
    const headers = { authorization: 'Bearer mk_reader', 'content-type': 'application/json' }
    const sent = requestHttp1({ agent, host: HOST, port: served.port, path, method, headers })
    sent.end(method === 'POST' ? '{}' : undefined)
    const [answer] = await once(sent, 'response')
    answer.resume()
    await once(answer, 'end')
    return { status: answer.statusCode as number, isReused: sent.reusedSocket }
  }
  expect(await call()).toMatchObject({ status: 200, isReused: false })
  await once(openSocket(), 'close')
  expect(await call()).toEqual({ status: 200, isReused: true })
  agent.destroy()
})

test('serves a caller of an address that opens as many connections as the server has', async () => {
  const maxConnections = 200
  await start({ maxConnections })
  const flood = Array.from({ length: maxConnections }, () => openSocket(PREFACE))
  await Promise.all(flood.map((socket) => once(socket, 'connect')))
  expect(await whoAmI(openSession())).toBe('0')
})

test.runIf(process.platform === 'linux')(
  'serves other addresses when one has all the connections it may have',
  async () => {
    const maxConnections = 8
    await start({ maxConnections })
    const sessions = Array.from({ length: defaultMaxPerAddress(maxConnections) }, () => openSession(OTHER_HOST))
    for (const session of sessions) expect(await whoAmI(session)).toBe('0')
    await once(openSocket(PREFACE, OTHER_HOST), 'close')
    expect(await whoAmI(openSession())).toBe('0')
    for (const session of sessions) expect(await whoAmI(session)).toBe('0')
  },
)
