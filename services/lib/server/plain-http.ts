// Plain HTTP on the address of the RPCs: `GET /healthz`, and resources for tools without RPC, such as log tiles.
import type { DescMethod } from '@bufbuild/protobuf'
import { Code, ConnectError } from '@connectrpc/connect'
import type { connectNodeAdapter } from '@connectrpc/connect-node'
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { HealthCheckResponse_ServingStatus as Status } from '#gen/health/v1/health_pb.ts'
import { ANONYMOUS } from '../access/caller.ts'
import { toConnectError } from '../errors/connect-error.ts'
import { admit, bearerToken, logRefusal, type GateOptions } from './gate.ts'
import type { HealthMonitor } from './health.ts'
import type { Connections } from './limits/connections.ts'
import { findRefusal, tryRecordRefusal } from './refusals.ts'

export interface PlainAnswer {
  /** Value of `content-type`. */
  type: string
  /** Value of `cache-control`. */
  cache: string
  body: string | Uint8Array
}

/** Admits the caller under the access rule of the RPC that returns the same content, and on `namespace` if given. Throws
 * TOKEN_INVALID, TOKEN_EXPIRED or PERMISSION_DENIED. */
export type AdmitPlain = (method: DescMethod, namespace?: string) => Promise<void>

/** Responds to `GET path`; returns undefined if the path is unknown. */
export type AnswerPlain = (path: string, admit: AdmitPlain) => Promise<PlainAnswer | undefined>

export interface PlainOptions extends GateOptions {
  plain?: AnswerPlain
  health: HealthMonitor
  connections: Connections
}

type Request = IncomingMessage
type Response = ServerResponse

const STATUS: Partial<Record<Code, number>> = {
  [Code.InvalidArgument]: 400,
  [Code.OutOfRange]: 400,
  [Code.Unauthenticated]: 401,
  [Code.PermissionDenied]: 403,
  [Code.NotFound]: 404,
  [Code.ResourceExhausted]: 429,
  [Code.Unavailable]: 503,
}

export function plainHandler(options: PlainOptions): ReturnType<typeof connectNodeAdapter> {
  return (request, response) => {
    void answer(options, request as Request, response as Response)
  }
}

async function answer(options: PlainOptions, request: Request, response: Response): Promise<void> {
  const { method, url: path = '/' } = request
  if (method !== 'GET') return reply(response, 404, 'not found')
  if (path === '/healthz') {
    const isServing = (await options.health.status()) === Status.SERVING
    if (request.httpVersionMajor === 1) response.setHeader('connection', 'close')
    return isServing ? reply(response, 200, 'serving') : reply(response, 503, 'not serving')
  }
  const requestId = randomUUID()
  response.setHeader('x-request-id', requestId)
  try {
    const found = await options.plain?.(path, (...wanted) => admitPlain(options, request, requestId, ...wanted))
    if (!found) return reply(response, 404, 'not found')
    response.writeHead(200, { 'content-type': found.type, 'cache-control': found.cache })
    response.end(found.body)
  } catch (error) {
    const refused = toConnectError(error)
    logRefusal(options.logger, { requestId, path }, error)
    reply(response, STATUS[refused.code] ?? 500, ConnectError.from(refused).rawMessage)
  }
}

async function admitPlain(
  options: PlainOptions,
  request: Request,
  requestId: string,
  rpc: DescMethod,
  namespace?: string,
): Promise<void> {
  const { authorization = '' } = request.headers
  let caller = ANONYMOUS
  try {
    caller = await options.authenticate(bearerToken(new Headers({ authorization })), new AbortController().signal)
    options.connections.admit(request.socket)
    const access = admit(rpc, caller)
    if (namespace !== undefined) access.require(namespace)
  } catch (error) {
    await tryRecordRefusal(options, findRefusal(error, { caller, method: rpc, namespace: namespace ?? '', requestId }))
    throw error
  }
}

function reply(response: Response, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' })
  response.end(`${text}\n`)
}
