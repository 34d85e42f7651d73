// The `minio` client, for all requests but those that carry the bytes of objects.
import { Client } from 'minio'
import http from 'node:http'
import https from 'node:https'
import { storeTimeout } from './faults.ts'
import type { S3Options } from './options.ts'

const MAX_SOCKETS = 128
/** The client throws on these statuses without reading the body, which would occupy the connection forever. */
const UNREAD_STATUSES = [408, 429, 499, 500, 502, 503, 504, 520]

export function createControlClient(options: S3Options, silenceMs: number): { client: Client; close: () => void } {
  const { protocol, hostname, port } = new URL(options.endpoint)
  const isSecure = protocol === 'https:'
  const { Agent, request } = isSecure ? https : http
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS, scheduling: 'lifo' })
  const client = new Client({
    endPoint: hostname,
    ...(port ? { port: Number(port) } : {}),
    useSSL: isSecure,
    region: options.region,
    accessKey: options.accessKey,
    secretKey: options.secretKey,
    transport: createTransport(request, silenceMs),
    transportAgent: agent,
    retryOptions: { disableRetry: true },
  })
  // By default, the client signs no hash of its bodies over TLS.
  client.enableSHA256 = true
  return { client, close: () => agent.destroy() }
}

/** Requests fail when the server is silent for too long. */
function createTransport(request: typeof http.request, silenceMs: number): Pick<typeof http, 'request'> {
  const transport = {
    request(options: http.RequestOptions, onResponse: (response: http.IncomingMessage) => void): http.ClientRequest {
      const sent = request(options, onResponse)
      let waiting: http.ClientRequest | http.IncomingMessage = sent
      sent.setTimeout(silenceMs, () => void waiting.destroy(storeTimeout()))
      sent.once('response', (response) => {
        waiting = response
        if (UNREAD_STATUSES.includes(response.statusCode ?? 0)) response.resume()
      })
      return sent
    },
  }
  return transport as Pick<typeof http, 'request'>
}
