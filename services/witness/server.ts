// The HTTP server of the witness: add-checkpoint, the last checkpoint of each log, and the health check.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { addCheckpoint, type Answer, type Witness } from './add-checkpoint.ts'
import { hashOrigin } from './store/state.ts'

/** The size limit of a request, enough for a checkpoint with dozens of signatures and the longest proof. */
const MAX_BODY_BYTES = 128 * 1024
const MAX_CONNECTIONS = 256
/** Timeout for receiving a request. */
const REQUEST_MS = 10_000
/** Timeout for receiving its headers. */
const HEADERS_MS = 5_000

export interface RunningWitness {
  port: number
  /** Waits at most `graceMs` milliseconds for requests in flight. */
  close(graceMs: number): Promise<void>
}

export async function serveWitness(witness: Witness, address: { host: string; port: number }): Promise<RunningWitness> {
  const limits = { requestTimeout: REQUEST_MS, headersTimeout: HEADERS_MS, connectionsCheckingInterval: 1_000 }
  const server = createServer(limits, (request, response) => void respond(witness, request, response))
  server.maxConnections = MAX_CONNECTIONS
  server.listen(address.port, address.host)
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, close: (graceMs) => close(server, graceMs) }
}

async function close(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve))
  const timer = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearTimeout(timer)
}

async function respond(witness: Witness, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let answer: Answer
  try {
    answer = await answerRequest(witness, request)
  } catch (error) {
    witness.logger.error({ error }, 'request failed; nothing was cosigned')
    answer = { status: 500, body: 'internal error\n' }
  }
  // The rest of a body that is too long is not read.
  if (!request.complete) response.setHeader('connection', 'close')
  response.writeHead(answer.status, { 'content-type': answer.type ?? 'text/plain; charset=utf-8' })
  response.end(answer.body)
}

async function answerRequest(witness: Witness, request: IncomingMessage): Promise<Answer> {
  const { method, url: path = '/' } = request
  if (path === '/add-checkpoint') {
    if (method !== 'POST') return { status: 405, body: 'method not allowed; use POST\n' }
    const body = await readBody(request)
    return body === undefined
      ? { status: 413, body: `request body exceeds ${MAX_BODY_BYTES} bytes\n` }
      : addCheckpoint(witness, body)
  }
  if (method !== 'GET') return { status: 405, body: 'method not allowed; use GET\n' }
  if (path === '/healthz') return checkHealth(witness)
  const hash = /^\/([0-9a-f]{64})\/checkpoint$/.exec(path)?.[1]
  const origin = [...witness.logs.keys()].find((known) => hashOrigin(known) === hash)
  const note = origin === undefined ? undefined : witness.state.read(origin).note
  return note === undefined ? { status: 404, body: 'not found\n' } : { status: 200, body: note }
}

function checkHealth({ logs, state }: Witness): Answer {
  for (const origin of logs.keys()) state.read(origin)
  return { status: 200, body: 'serving\n' }
}

/** Returns undefined where the body is too long. Invalid UTF-8 needs no check: it cannot be a signed checkpoint. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
