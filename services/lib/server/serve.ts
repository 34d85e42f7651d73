// Serves gRPC, gRPC-Web, Connect, JSON and plain HTTP on one address.
import type { ConnectRouter } from '@connectrpc/connect'
import type { ConnectNodeAdapterOptions } from '@connectrpc/connect-node'
import type { DescService } from '@bufbuild/protobuf'
import { Health } from '#gen/health/v1/health_pb.ts'
import { createAdapter } from './adapter.ts'
import { BODY_SECONDS } from './limits/body-timer.ts'
import { COMPRESS_NO_RESPONSE, requestGzip } from './compression.ts'
import { ZeroCopyHandler, type ZeroCopyMethod } from '../byte-streams/handler.ts'
import { createGate, type GateOptions } from './gate.ts'
import { healthRoutes, HealthMonitor, type HealthOptions } from './health.ts'
import { createInterceptors } from './interceptors.ts'
import { Connections } from './limits/connections.ts'
import { listen, type Address, type Listening } from './listen.ts'
import type { Logger } from '../process/log.ts'
import { plainHandler, type AnswerPlain } from './plain-http.ts'
import { reflectionRoutes } from './reflection.ts'

/** Limit of a unary request, and of each message of a stream. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024

/** Services to be served on an address, or called in memory by a test. */
export interface Serving extends GateOptions {
  services: DescService[]
  routes: (router: ConnectRouter) => void
  check: HealthOptions['check']
  checkWithinMs?: HealthOptions['checkWithinMs']
  healthCachedMs?: HealthOptions['healthCachedMs']
  /** Methods that the zero-copy handler serves: they carry bytes, or are called very often. */
  zeroCopyMethods?: ZeroCopyMethod[]
  /** Handler of plain HTTP GET requests. */
  plain?: AnswerPlain
  /** Aborted when the process begins to drain; endless streams then end. */
  draining: AbortSignal
  logger: Logger
}

export interface Served extends Listening {
  zeroCopy: Pick<ZeroCopyHandler, 'calls'>
}

/** Options shared by the real server and the in-memory router of tests, so that both have gate and interceptors. */
export function adapterOptions(serving: Serving) {
  const cutOff = new AbortController()
  const health = new HealthMonitor(serving)
  const names = serving.services.map(({ typeName }) => typeName)
  const options = {
    routes: (router: ConnectRouter) => {
      serving.routes(router)
      healthRoutes(health, names)(router)
      reflectionRoutes([...serving.services, Health])(router)
    },
    requestGate: createGate(serving),
    // No handler needs them, and each of the two million that a message of a stream can have would become an object.
    binaryOptions: { readUnknownFields: false },
    interceptors: createInterceptors(serving.logger, serving.recordRefusal),
    readMaxBytes: MAX_MESSAGE_BYTES,
    acceptCompression: [requestGzip],
    compressMinBytes: COMPRESS_NO_RESPONSE,
    // Ignoring a misspelt field could silently weaken a policy.
    jsonOptions: { ignoreUnknownFields: false },
    shutdownSignal: cutOff.signal,
  } satisfies ConnectNodeAdapterOptions
  return { options, cutOff, health }
}

export async function serve(serving: Serving, address: Address): Promise<Served> {
  const { options, cutOff, health } = adapterOptions(serving)
  const { bodySeconds = BODY_SECONDS } = address
  const connections = new Connections(address)
  const shared = { ...options, bodySeconds, connections }
  const zeroCopy = new ZeroCopyHandler({ ...shared, methods: serving.zeroCopyMethods ?? [] })
  const fallback = plainHandler({ ...serving, health, connections })
  const handler = createAdapter({ ...shared, zeroCopy, logger: serving.logger, fallback })
  const listening = await listen(handler, address, connections, () => cutOff.abort())
  return { ...listening, zeroCopy }
}
