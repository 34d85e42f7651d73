// Connections to the S3 server: kept open, and given up when the server falls silent.
import http from 'node:http'
import https from 'node:https'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

/** How long the server may take to say anything. */
export const SILENCE_MS = 60_000
const MAX_SOCKETS = 128
/** Of each connection, each way: what is written and read in one go. Node's 64 KiB cost twice the time. */
const BUFFERS: object = { highWaterMark: 1024 * 1024 }
/** The client throws at these without reading the body, which would keep the connection busy for ever. */
const UNREAD_STATUSES = [408, 429, 499, 500, 502, 503, 504, 520]

export function createTransport(secure: boolean, silenceMs = SILENCE_MS) {
  const { Agent, request } = secure ? https : http
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS, scheduling: 'lifo', ...BUFFERS })
  const transport = {
    request(options: http.RequestOptions, onResponse: (response: http.IncomingMessage) => void): http.ClientRequest {
      const sent = request(options, onResponse)
      let waiting: http.ClientRequest | http.IncomingMessage = sent
      sent.setTimeout(silenceMs, () => void waiting.destroy(silence()))
      sent.once('response', (response) => {
        waiting = response
        if (isObject(options, response)) sent.setTimeout(0)
        if (UNREAD_STATUSES.includes(response.statusCode ?? 0)) response.resume()
      })
      return sent
    },
  }
  return { transport: transport as Pick<typeof http, 'request'>, agent, close: () => agent.destroy() }
}

export function silence(): Error {
  return Object.assign(new Error('the store fell silent'), { code: 'ETIMEDOUT' })
}

/** The body of an answer, which is given up where nothing comes for too long. */
export async function* readBody(body: Readable, silenceMs: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const stop = (): void => void body.destroy()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    signal?.throwIfAborted()
    const bytes = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>
    for (;;) {
      const next = await within(silenceMs, bytes.next())
      if (next.done) return
      yield next.value
    }
  } finally {
    signal?.removeEventListener('abort', stop)
    body.destroy()
  }
}

/** Rejects where nothing comes for so long. */
async function within<T>(silenceMs: number, next: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const silent = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(silence()), silenceMs)
  })
  try {
    return await Promise.race([next, silent])
  } finally {
    clearTimeout(timer)
  }
}

const FIRST_PAUSE_MS = 100

/** Before the next attempt after this one. */
export function pause(attempt: number): Promise<void> {
  return sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1) * (1 + Math.random()))
}

/** A reader of an object who takes its time pauses the connection; that is not the server's silence. */
function isObject({ method, path }: http.RequestOptions, { statusCode = 0 }: http.IncomingMessage): boolean {
  return method === 'GET' && statusCode < 300 && !path?.includes('?')
}
