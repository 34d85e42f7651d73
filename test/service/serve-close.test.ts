// Shutdown of a server: running calls may finish, new ones are rejected, nothing hangs.
import { Code, createClient } from '@connectrpc/connect'
import { createConnectTransport, createGrpcTransport } from '@connectrpc/connect-node'
import { connect } from 'node:net'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts'
import { IdentityService } from '../../gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { serve } from '../../services/lib/server/serve.ts'
import { refusalOf } from '../support/refusal.ts'
import { grpcClient, stubServing } from '../support/serving.ts'

const ADDRESS = { host: '127.0.0.1', port: 0 }
const headers = { authorization: 'Bearer mk_reader' }

/** A server whose WhoAmI waits for `finish`. */
async function serveSlowly() {
  const begun = Promise.withResolvers<AbortSignal>()
  const mayFinish = Promise.withResolvers<void>()
  const serving = stubServing([IdentityService], (router) =>
    router.service(IdentityService, {
      async whoAmI(_request, context) {
        begun.resolve(context.signal)
        await Promise.race([mayFinish.promise, once(context.signal, 'abort')])
        return { principal: 'slow' }
      },
    }),
  )
  return { serving, served: await serve(serving, ADDRESS), begun: begun.promise, finish: () => mayFinish.resolve() }
}

const TRANSPORTS = {
  'gRPC over HTTP/2': (baseUrl: string) => createGrpcTransport({ baseUrl }),
  'Connect over HTTP/1.1': (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: '1.1' }),
}

test.each(Object.entries(TRANSPORTS))('%s: finishes a running call, and rejects new ones', async (_name, transport) => {
  const { served, begun, finish } = await serveSlowly()
  const client = createClient(IdentityService, transport(`http://127.0.0.1:${served.port}`))
  const running = client.whoAmI({}, { headers })
  await begun
  const closed = served.close(20_000)
  await expect.poll(() => refuses(served.port)).toBe(true)
  finish()
  expect((await running).principal).toBe('slow')
  await closed
  expect(['Unavailable', 'Internal']).toContain((await refusalOf(client.whoAmI({}, { headers }))).code)
})

function refuses(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  return new Promise<boolean>((resolve) => {
    socket.on('connect', () => resolve(false)).on('error', () => resolve(true))
  }).finally(() => socket.destroy())
}

test.each(Object.entries(TRANSPORTS))('%s: cancels a call that takes too long', async (_name, transport) => {
  const { served, begun } = await serveSlowly()
  const client = createClient(IdentityService, transport(`http://127.0.0.1:${served.port}`))
  // The client may miss the close of a connection after GOAWAY, so the call has a deadline.
  const running = refusalOf(client.whoAmI({}, { headers, timeoutMs: 5_000 }))
  const signal = await begun
  await served.close(0)
  expect(signal.aborted).toBe(true)
  const codes = ['Unavailable', 'Aborted', 'Canceled', 'Internal', 'Unknown', 'DeadlineExceeded']
  expect(codes).toContain((await running).code)
})

test('shuts down without waiting for idle connections of any kind', async () => {
  const { served } = await serveSlowly()
  const grpc = grpcClient(Health, served.port)
  await grpc.check({})
  await fetch(`http://127.0.0.1:${served.port}/healthz`)
  const silent = connect(served.port, '127.0.0.1')
  await once(silent, 'connect')
  const halfSent = connect(served.port, '127.0.0.1')
  halfSent.write('PR')
  await once(halfSent, 'connect')
  await Promise.all([served.close(200), once(silent, 'close'), once(halfSent, 'close')])
})

test('reports NOT_SERVING to probes and watchers as soon as the shutdown begins', async () => {
  const { serving, served } = await serveSlowly()
  const client = grpcClient(Health, served.port)
  const seen: Status[] = []
  const watching = (async () => {
    for await (const { status } of client.watch({ service: '' })) seen.push(status)
  })()
  await expect.poll(() => seen).toEqual([Status.SERVING])
  serving.drain.abort()
  await watching
  expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING])
  expect((await client.check({})).status).toBe(Status.NOT_SERVING)
  await served.close(1000)
})

test("ends a call when the caller's deadline passes or the caller disconnects", async () => {
  const { served, begun } = await serveSlowly()
  const client = grpcClient(IdentityService, served.port)
  const late = client.whoAmI({}, { headers, timeoutMs: 100 })
  expect((await refusalOf(late)).code).toBe(Code[Code.DeadlineExceeded])
  const ended = await begun
  await expect.poll(() => ended.aborted).toBe(true)
  await served.close(1000)

  const other = await serveSlowly()
  const leaving = new AbortController()
  const left = grpcClient(IdentityService, other.served.port).whoAmI({}, { headers, signal: leaving.signal })
  const signal = await other.begun
  leaving.abort()
  expect((await refusalOf(left)).code).toBe('Canceled')
  await expect.poll(() => signal.aborted).toBe(true)
  await other.served.close(1000)
})
