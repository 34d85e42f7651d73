// A caller that disconnects during a response: the call is logged as cancelled, and nothing else is printed.
import { Code, createClient } from '@connectrpc/connect'
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node'
import { connect as connectHttp2, constants } from 'node:http2'
import { connect } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { BlobService } from '../../gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { accessOf } from '../../services/lib/access/caller.ts'
import { serve, type Served } from '../../services/lib/server/serve.ts'
import { startStallingProxy } from '../support/proxy.ts'
import { stubServing } from '../support/serving.ts'

const MIB = 1024 * 1024
const value = new Uint8Array(MIB)
const headers = { authorization: 'Bearer mk_reader' }
let waiting = 0
const serving = stubServing([BlobService], (router) =>
  router.service(BlobService, {
    uploadBlob: async (_requests, { signal }) => {
      waiting += 1
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
      waiting -= 1
      throw signal.reason
    },
    async *downloadBlob(_request, context) {
      accessOf(context).require('default')
      for (let sent = 0; sent < 100; sent += 1) yield { message: { case: 'chunk' as const, value } }
    },
  }),
)
let served: Served
let address: string
beforeAll(async () => {
  served = await serve(serving, { host: '127.0.0.1', port: 0 })
  address = `http://127.0.0.1:${served.port}`
})
afterAll(() => served.close(0))

const terminal = vi.spyOn(console, 'error')
beforeEach(() => {
  serving.logs.length = 0
  terminal.mockClear()
})

const TRANSPORTS = {
  'gRPC over HTTP/2': (baseUrl: string) => createGrpcTransport({ baseUrl }),
  'Connect over HTTP/2': (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: '2' }),
  'Connect over HTTP/1.1': (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: '1.1' }),
  'gRPC-Web over HTTP/1.1': (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: '1.1' }),
}

async function expectCanceled(): Promise<void> {
  await expect.poll(() => serving.logs.length).toBeGreaterThan(0)
  expect(serving.logs.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { level: 'info', message: 'call', code: 'Canceled', principal: 'reader' },
  ])
  expect(terminal).not.toHaveBeenCalled()
}

test.each(Object.entries(TRANSPORTS))(
  '%s: logs a download that the caller cancels as cancelled',
  async (_name, transport) => {
    const client = createClient(BlobService, transport(address))
    const leaving = new AbortController()
    const download = async () => {
      for await (const _chunk of client.downloadBlob({}, { headers, signal: leaving.signal })) leaving.abort()
    }
    await expect(download()).rejects.toMatchObject({ code: Code.Canceled })
    await expectCanceled()
  },
)

test.each(Object.entries(TRANSPORTS))(
  '%s: logs a download whose connection breaks as cancelled',
  async (_name, transport) => {
    const proxy = await startStallingProxy(address, { down: 2 * MIB })
    const client = createClient(BlobService, transport(proxy.address))
    const reading = Array.fromAsync(client.downloadBlob({}, { headers })).then(
      () => 'read',
      () => 'broken',
    )
    await proxy.stalled
    await proxy[Symbol.asyncDispose]()
    expect(await reading).toBe('broken')
    await expectCanceled()
  },
)

test.each([
  ['the zero-copy handler', 'application/grpc'],
  ['the general adapter', 'application/connect+proto'],
])('%s: ends a call that is cancelled as soon as it arrives', async (_name, type) => {
  const session = connectHttp2(address)
  const path = '/modelkeep.artifact.v1.BlobService/UploadBlob'
  const CALLS = 50
  for (let call = 0; call < CALLS; call += 1) {
    const token = 'Bearer mk_contributor'
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': type, authorization: token })
    stream.on('error', () => {})
    stream.close(constants.NGHTTP2_CANCEL)
  }
  await expect.poll(() => serving.logs.length).toBe(CALLS)
  expect(waiting).toBe(0)
  session.destroy()
})

test('rejects a request without a host, and prints nothing', async () => {
  const socket = connect(served.port, '127.0.0.1')
  socket.end('POST /modelkeep.artifact.v1.BlobService/DownloadBlob HTTP/1.0\r\ncontent-type: application/json\r\n\r\n')
  const answer = Buffer.concat(await Array.fromAsync(socket as AsyncIterable<Buffer>)).toString()
  expect(answer).toMatch(/^HTTP\/1.1 400/)
  expect(terminal).not.toHaveBeenCalled()
})
