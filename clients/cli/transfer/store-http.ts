// Signed HTTP requests to the store. They fail if no byte moves for too long.
import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'
import type { SignedRequest } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { isLoopback } from './loopback.ts'
import type { TransferSettings } from './mode-selector.ts'
import { StallWatch } from './stall-watch.ts'
import { isStoreError, StoreError } from './store-error.ts'
import { WriteWindow } from './write-window.ts'

const WRITE_BYTES = 256 * 1024
const CONNECT_MS = 5_000
const MAX_REFUSAL_BYTES = 8 * 1024
const MAX_SOCKETS = 32
const AGENTS = {
  'http:': new http.Agent({ keepAlive: true, maxSockets: MAX_SOCKETS }),
  'https:': new https.Agent({ keepAlive: true, maxSockets: MAX_SOCKETS }),
}

export interface PutBody {
  body: AsyncIterable<Uint8Array>
  /** Called with the number of bytes that were written. */
  onSent: (count: number) => void
}

/** Uploads the body, and returns the ETag. Throws StoreError. */
export async function putToStore(
  settings: TransferSettings,
  signed: SignedRequest,
  { body, onSent }: PutBody,
  signal: AbortSignal,
): Promise<string> {
  using watch = new StallWatch(settings.stallMs, signal)
  const request = openRequest(settings, signed, {}, watch)
  const answered = answerOf(request, watch)
  // A response before the end of the body is a refusal, so the rest is not sent.
  const early = new AbortController()
  answered.then(
    () => early.abort(),
    () => early.abort(),
  )
  try {
    await writeBody(request, body, { onSent, watch, stop: AbortSignal.any([early.signal, watch.signal]) })
    const answer = await answered
    const text = await readText(answer, watch)
    const etag = answer.headers.etag ?? ''
    if (answer.statusCode !== 200 || etag === '') throw refusal(answer.statusCode ?? 0, text)
    return etag
  } finally {
    answered.catch(() => undefined)
    if (!request.writableFinished) request.destroy()
  }
}

/** Yields the bytes from `from` up to, but not including, `to`. Throws StoreError. */
export async function* readFromStore(
  settings: TransferSettings,
  signed: SignedRequest,
  { from, to }: { from: number; to: number },
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  using watch = new StallWatch(settings.stallMs, signal)
  const request = openRequest(settings, signed, { range: `bytes=${from}-${to - 1}` }, watch)
  try {
    const answered = answerOf(request, watch)
    request.end()
    const answer = await answered
    const isRange = answer.statusCode === 206 && answer.headers['content-range']?.startsWith(`bytes ${from}-${to - 1}/`)
    if (!isRange) throw refusal(answer.statusCode ?? 0, await readText(answer, watch))
    yield* readBody(answer, watch)
  } finally {
    request.destroy()
  }
}

function openRequest(
  { secure, local }: TransferSettings,
  signed: SignedRequest,
  headers: Record<string, string>,
  watch: StallWatch,
): ClientRequest {
  const url = URL.canParse(signed.url) ? new URL(signed.url) : undefined
  if (url?.protocol !== 'https:' && (url?.protocol !== 'http:' || secure)) {
    throw new StoreError('unreachable', 'store does not use TLS, but the server does')
  }
  // On this machine, a loopback address would lead to another server.
  if (!local && isLoopback(url.hostname))
    throw new StoreError('unreachable', 'store address is a loopback address, but the server is on another machine')
  const { request, agent } =
    url.protocol === 'https:'
      ? { request: https.request, agent: AGENTS['https:'] }
      : { request: http.request, agent: AGENTS['http:'] }
  const options = { method: signed.method, headers: { ...signed.headers, ...headers }, agent, signal: watch.signal }
  const opened = request(url, options)
  opened.on('socket', (socket) => {
    if (!socket.connecting) return
    const timer = setTimeout(() => opened.destroy(unreachable(url, 'no answer')), CONNECT_MS)
    for (const event of ['connect', 'close']) socket.once(event, () => clearTimeout(timer))
  })
  return opened
}

function answerOf(request: ClientRequest, watch: StallWatch): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', (answer) => {
      watch.reportProgress()
      resolve(answer)
    })
    request.on('error', (error) => reject(toStoreError(error, watch, request)))
  })
}

interface Writing {
  onSent: (count: number) => void
  watch: StallWatch
  /** Aborted when no more bytes are needed. */
  stop: AbortSignal
}

async function writeBody(request: ClientRequest, body: AsyncIterable<Uint8Array>, writing: Writing): Promise<void> {
  const { onSent, watch, stop } = writing
  const ended = new Promise<void>((resolve) => {
    request.once('close', resolve)
    stop.addEventListener('abort', () => resolve(), { once: true })
  })
  const room = new WriteWindow()
  for await (const chunk of body) {
    for (let at = 0; at < chunk.length; at += WRITE_BYTES) {
      const piece = chunk.subarray(at, at + WRITE_BYTES)
      const written = room.reserve(piece.length)
      request.write(piece, () => {
        written()
        watch.reportProgress()
      })
      onSent(piece.length)
      while (room.isFull && !stop.aborted) await Promise.race([room.next(), ended])
      if (stop.aborted) return
    }
  }
  request.end()
}

async function* readBody(answer: IncomingMessage, watch: StallWatch): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of answer) {
      watch.reportProgress()
      yield chunk as Buffer
      watch.reportProgress()
    }
  } catch (error) {
    throw toStoreError(error, watch)
  }
}

async function readText(answer: IncomingMessage, watch: StallWatch): Promise<string> {
  let text = ''
  for await (const chunk of readBody(answer, watch)) {
    text += chunk.toString('latin1')
    if (text.length > MAX_REFUSAL_BYTES) answer.destroy()
  }
  return text
}

function refusal(status: number, text: string): StoreError {
  const code = /<Code>(\w{1,64})<\/Code>/.exec(text)?.[1] ?? ''
  return new StoreError('refused', `store returned ${`${status} ${code}`.trim()}`, status)
}

const NO_ROUTE = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT']
const NO_TLS = /CERT|SSL|SELF_SIGNED|UNABLE_TO_VERIFY|EPROTO/

function toStoreError(error: unknown, watch: StallWatch, request?: ClientRequest): unknown {
  if (isStoreError(error)) return error
  if (watch.stalled) return new StoreError('stalled', 'store transfer stalled')
  if (watch.signal.aborted) return watch.signal.reason
  const code = (error as NodeJS.ErrnoException).code ?? ''
  if (request && (NO_ROUTE.includes(code) || NO_TLS.test(code))) return unreachable(request, code)
  return new StoreError('stalled', `connection to the store was lost${code && ` (${code})`}`)
}

function unreachable({ host }: { host: string }, why: string): StoreError {
  return new StoreError('unreachable', `store at ${host} is unreachable from here (${why})`)
}
