// Limits on connections, and TLS.
import { createClient } from '@connectrpc/connect'
import { createConnectTransport, createGrpcTransport } from '@connectrpc/connect-node'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { get } from 'node:https'
import { expect, test } from 'vitest'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { serve, type Serving } from '../../services/lib/server/serve.ts'
import { accessOf } from '../../services/lib/access/caller.ts'
import { fromField } from '../../services/lib/byte-streams/chunk.ts'
import { stubServing } from '../support/serving.ts'

const CHUNK = { number: 2, maxBytes: 1024 * 1024 }

/** A service that returns the number of received bytes as `blob.size_bytes`. */
function countingServing(): Serving {
  const serving = stubServing([BlobService], (router) =>
    router.service(BlobService, {
      async uploadBlob(messages, context) {
        accessOf(context).require('default')
        let sizeBytes = 0n
        for await (const message of messages) {
          sizeBytes += BigInt(fromField(message.message.value as Uint8Array).length)
        }
        return { blob: { sizeBytes } }
      },
    }),
  )
  return { ...serving, zeroCopyMethods: [{ method: BlobService.method.uploadBlob, request: CHUNK }] }
}

test('serves zero-copy gRPC, Connect and HTTP/1.1 on one port with TLS', async () => {
  const [cert, key] = await Promise.all(
    ['cert', 'key'].map((name) => readFile(new URL(`../support/tls/localhost.${name}.pem`, import.meta.url), 'utf8')),
  )
  const tls = { cert: cert!, key: key! }
  const served = await serve(countingServing(), { host: '127.0.0.1', port: 0, tls })
  const options = { baseUrl: `https://127.0.0.1:${served.port}`, nodeOptions: { ca: cert! } }
  const headers = { authorization: 'Bearer mk_contributor' }
  async function* messages() {
    for (let turn = 0; turn < 8; turn += 1) {
      yield { message: { case: 'chunk' as const, value: new Uint8Array(1_000_000) } }
    }
  }
  for (const [transport, zeroCopyCalls] of [
    [createGrpcTransport(options), 1],
    [createConnectTransport({ ...options, httpVersion: '2' }), 1],
  ] as const) {
    const { blob } = await createClient(BlobService, transport).uploadBlob(messages(), { headers })
    expect(blob!.sizeBytes).toBe(8_000_000n)
    expect(served.zeroCopy.calls).toBe(zeroCopyCalls)
  }
  const status = await new Promise((resolve) =>
    get({ host: '127.0.0.1', port: served.port, path: '/healthz', ca: cert! }, (response) => {
      response.resume()
      resolve(response.statusCode)
    }),
  )
  expect(status).toBe(200)
  await served.close(1000)
})

test('closes connections beyond the limit at once, and serves the others', async () => {
  const served = await serve(countingServing(), { host: '127.0.0.1', port: 0, maxConnections: 2 })
  const open = (): Socket => connect(served.port, '127.0.0.1').on('error', () => {})
  const within = [open(), open()]
  await Promise.all(within.map((socket) => once(socket, 'connect')))
  const beyond = open()
  await once(beyond, 'close')
  within[0]!.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')
  expect(String(await once(within[0]!, 'data'))).toContain('200')
  for (const socket of within) socket.destroy()
  await served.close(0)
})
