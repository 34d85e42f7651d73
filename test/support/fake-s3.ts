// An S3 server whose responses a test chooses, for errors and lost connections.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { S3Store } from '../../services/artifact/store/s3/s3-store.ts'

export interface FakeS3 {
  store: S3Store
  /** All requests in order, for example `POST /bucket/key?uploads`. */
  requests: string[]
  /** Called with every request before its body is read. */
  receive: (request: IncomingMessage) => void
  /** Responds to every request except those for the bucket itself. */
  answer: (request: IncomingMessage, response: ServerResponse) => void
  close(): Promise<void>
}

export async function startFakeS3(): Promise<FakeS3> {
  const server = createServer((request, response) => {
    fake.receive(request)
    request.resume()
    request.once('end', () => {
      if (request.method === 'HEAD' && request.url === '/bucket') return void response.end()
      fake.requests.push(`${request.method} ${request.url}`)
      fake.answer(request, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const options = { endpoint, bucket: 'bucket', region: 'us-east-1', accessKey: 'key', secretKey: 'secret-key' }
  const fake: FakeS3 = {
    store: new S3Store(options),
    requests: [],
    receive: () => {},
    answer: (_request, response) => response.end(),
    close: async () => {
      await fake.store.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return fake
}

export function refuse(status: number, code: string): FakeS3['answer'] {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/xml' })
    response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`)
  }
}
