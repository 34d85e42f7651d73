// Signed requests to the store, given up when no byte moves for too long.
import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'
import type { SignedRequest } from '#gen/modelkeep/artifact/v1/direct_service_pb.ts'
import { isLocal } from './local.ts'
import type { LaneSettings } from './lanes.ts'
import { StallWatch } from './stall-watch.ts'
import { isStoreProblem, StoreProblem } from './store-problem.ts'
import { WriteWindow } from './write-window.ts'

const WRITE_BYTES = 256 * 1024
const CONNECT_MS = 5_000
const MAX_REFUSAL_BYTES = 8 * 1024
const MAX_SOCKETS = 32
const AGENTS = {
  'http:': new http.Agent({ keepAlive: true, maxSockets: MAX_SOCKETS }),
  'https:': new https.Agent({ keepAlive: true, maxSockets: MAX_SOCKETS }),
}

export interface Sending {
  body: AsyncIterable<Uint8Array>
  /** Told of the bytes that have left. */
  onSent: (count: number) => void
}

/** Returns the ETag. */
export async function putToStore(
  settings: LaneSettings,
  signed: SignedRequest,
  { body, onSent }: Sending,
  signal: AbortSignal,
): Promise<string> {
  using watch = new StallWatch(settings.stallMs, signal)
  const request = openRequest(settings, signed, {}, watch)
  const answered = answerOf(request, watch)
  // An answer before the end of the body is a refusal; the rest is not wanted then.
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

/** The bytes from `from` to before `to`. */
export async function* readFromStore(
  settings: LaneSettings,
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
  { secure, local }: LaneSettings,
  signed: SignedRequest,
  headers: Record<string, string>,
  watch: StallWatch,
): ClientRequest {
  const url = URL.canParse(signed.url) ? new URL(signed.url) : undefined
  if (url?.protocol !== 'https:' && (url?.protocol !== 'http:' || secure)) {
    throw new StoreProblem('unreachable', 'store does not use TLS, but the server does')
  }
  // There is somebody else's server at this address, if any.
  if (!local && isLocal(url.hostname))
    throw new StoreProblem('unreachable', 'store address is a loopback address, but the server is on another machine')
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
      watch.moved()
      resolve(answer)
    })
    request.on('error', (error) => reject(translate(error, watch, request)))
  })
}

interface Writing {
  onSent: (count: number) => void
  watch: StallWatch
  /** Aborted when no more is wanted. */
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
      const written = room.take(piece.length)
      request.write(piece, () => {
        written()
        watch.moved()
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
      watch.moved()
      yield chunk as Buffer
      watch.moved()
    }
  } catch (error) {
    throw translate(error, watch)
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

function refusal(status: number, text: string): StoreProblem {
  const code = /<Code>(\w{1,64})<\/Code>/.exec(text)?.[1] ?? ''
  return new StoreProblem('refused', `store returned ${`${status} ${code}`.trim()}`, status)
}

const NO_ROUTE = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT']
const NO_TLS = /CERT|SSL|SELF_SIGNED|UNABLE_TO_VERIFY|EPROTO/

function translate(error: unknown, watch: StallWatch, request?: ClientRequest): unknown {
  if (isStoreProblem(error)) return error
  if (watch.stalled) return new StoreProblem('stalled', 'store transfer stalled')
  if (watch.signal.aborted) return watch.signal.reason
  const code = (error as NodeJS.ErrnoException).code ?? ''
  if (request && (NO_ROUTE.includes(code) || NO_TLS.test(code))) return unreachable(request, code)
  return new StoreProblem('stalled', `connection to the store was lost${code && ` (${code})`}`)
}

function unreachable({ host }: { host: string }, why: string): StoreProblem {
  return new StoreProblem('unreachable', `store at ${host} is unreachable from here (${why})`)
}
