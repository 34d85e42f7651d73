// Connections to the S3 server: kept open, and given up when the server falls silent.
import http from 'node:http'
import https from 'node:https'

/** How long the server may take to say anything. */
export const SILENCE_MS = 60_000
const MAX_SOCKETS = 128

export function createTransport(secure: boolean) {
  const { Agent, request } = secure ? https : http
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS, scheduling: 'lifo' })
  const transport = {
    request(options: http.RequestOptions, onResponse: (response: http.IncomingMessage) => void): http.ClientRequest {
      const sent = request(options, onResponse)
      sent.setTimeout(SILENCE_MS, () => {
        sent.destroy(Object.assign(new Error('the store fell silent'), { code: 'ETIMEDOUT' }))
      })
      // A reader who takes its time pauses the connection; that is not the server's silence.
      sent.once('response', () => sent.setTimeout(0))
      return sent
    },
  }
  return { transport: transport as Pick<typeof http, 'request'>, agent, close: () => agent.destroy() }
}
