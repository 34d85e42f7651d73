// An HTTP proxy in front of a real S3 server that injects faults by ordinal, such as "the third UploadPart". It keeps the
// Host header, so that signatures stay valid, and records every request.
import { Agent, createServer, request as ask, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { FAULTS, type FaultName } from './chaos-faults.ts'
import { completedOf, type Exchange, type Operation } from './chaos-exchange.ts'

export interface Seen {
  operation: Operation
  key: string
  uploadId: string | undefined
  fault: FaultName | undefined
  /** The answer of the store; undefined where it was not called, or has not answered. */
  status: number | undefined
}

/** The fault affects `times` requests from the `nth` on, counted from the call of `harm`. */
export interface Rule {
  operation: Operation
  fault: FaultName
  nth?: number
  times?: number
}

export interface ChaosS3 {
  address: string
  seen: Seen[]
  /** The most completions of one upload that the service had under way at once. */
  mostAtOnce: number
  /** The number of successful completions by upload. */
  completed: Map<string, number>
  harm(rule: Rule): void
  /** Called for every request that no rule matches. */
  decide: (operation: Operation) => FaultName | undefined
  /** Removes all rules. */
  heal(): void
  close(): Promise<void>
}

export async function startChaosS3(target: string): Promise<ChaosS3> {
  const agent = new Agent({ keepAlive: true })
  const rules: { rule: Rule; count: number }[] = []
  const choose = (operation: Operation): FaultName | undefined => {
    for (const entry of rules) {
      const { nth = 1, times = 1, fault } = entry.rule
      if (entry.rule.operation !== operation) continue
      entry.count += 1
      if (entry.count >= nth && entry.count < nth + times) return fault
    }
    return chaos.decide(operation)
  }
  const server = createServer((request, response) => {
    const seen = { ...describe(request), fault: undefined as FaultName | undefined, status: undefined }
    seen.fault = choose(seen.operation)
    chaos.seen.push(seen)
    countCompletion(seen, response, chaos)
    // Broken connections emit errors, here on purpose.
    for (const stream of [request, response]) stream.on('error', () => {})
    const forward = (body?: Buffer) => send(agent, target, { request, response, body, seen, chaos })
    FAULTS[seen.fault ?? 'none']({ request, response, forward }).catch(() => response.destroy())
  })
  server.on('connection', (socket) => socket.on('error', () => {}))
  server.requestTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const chaos: ChaosS3 = {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen: [],
    mostAtOnce: 0,
    completed: new Map(),
    harm: (rule) => void rules.push({ rule, count: 0 }),
    decide: () => undefined,
    heal: () => void (rules.length = 0),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      agent.destroy()
    },
  }
  return chaos
}

interface Sending extends Omit<Exchange, 'forward'> {
  body: Buffer | undefined
  seen: Seen
  chaos: ChaosS3
}

async function send(agent: Agent, target: string, { request, body, seen, chaos }: Sending): Promise<IncomingMessage> {
  const answer = await pass(agent, target, request, body)
  seen.status = answer.statusCode
  if (seen.operation !== 'CompleteMultipartUpload') return answer
  const { whole, done } = await completedOf(answer)
  if (done) chaos.completed.set(seen.uploadId!, (chaos.completed.get(seen.uploadId!) ?? 0) + 1)
  return whole
}

const completing = new Map<string, number>()

/** Counts a completion as running until it is answered, or the connection is cut. */
function countCompletion({ operation, uploadId }: Seen, response: ServerResponse, chaos: ChaosS3): void {
  if (operation !== 'CompleteMultipartUpload' || uploadId === undefined) return
  const count = (completing.get(uploadId) ?? 0) + 1
  completing.set(uploadId, count)
  chaos.mostAtOnce = Math.max(chaos.mostAtOnce, count)
  response.once('close', () => completing.set(uploadId, completing.get(uploadId)! - 1))
}

function pass(agent: Agent, target: string, request: IncomingMessage, body?: Buffer): Promise<IncomingMessage> {
  const { hostname, port } = new URL(target)
  return new Promise((resolve, reject) => {
    const { method, url: path, headers } = request
    const onward = ask({ agent, hostname, port, method, path, headers, setHost: false }, resolve)
    onward.on('error', reject)
    // When the client disconnects, its request is cancelled.
    if (body === undefined) request.once('close', () => request.complete || onward.destroy())
    if (body === undefined) request.pipe(onward)
    else onward.end(body)
  })
}

function describe(request: IncomingMessage): Pick<Seen, 'operation' | 'key' | 'uploadId'> {
  const { pathname, searchParams: query } = new URL(request.url!, 'http://s3')
  const [, , ...rest] = pathname.split('/')
  const uploadId = query.get('uploadId') ?? undefined
  return { operation: operationOf(request.method!, query, rest.join('/')), key: rest.join('/'), uploadId }
}

function operationOf(method: string, query: URLSearchParams, key: string): Operation {
  if (key === '') return query.has('uploads') ? 'ListUploads' : 'Bucket'
  if (method === 'POST') return query.has('uploads') ? 'CreateMultipartUpload' : 'CompleteMultipartUpload'
  if (method === 'GET' && query.has('uploadId')) return 'ListParts'
  if (method === 'PUT') return query.has('partNumber') ? 'UploadPart' : 'PutObject'
  if (method === 'DELETE') return query.has('uploadId') ? 'AbortMultipartUpload' : 'DeleteObject'
  return method === 'HEAD' ? 'HeadObject' : 'GetObject'
}
