// Clients of the peer services.
import type { DescService } from '@bufbuild/protobuf'
import { Code, ConnectError, createClient, type Client, type Interceptor, type Transport } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { ModelkeepError, type Reason } from '../errors/errors.ts'
import { reasonOf } from '../errors/read-error.ts'

export interface PeerOptions {
  /** Name of the peer service, for error messages. */
  name: string
  /** `http://host:port` or `https://…`. */
  address: string
  /** This service's own token. */
  token: string
  /** Timeout per call. Default 10,000. */
  timeoutMs?: number
}

/** Returns a client whose errors are translated: errors about the request keep their reason, and failures of the peer
 * are DEPENDENCY_UNAVAILABLE. */
export function peerClient<S extends DescService>(service: S, options: PeerOptions): Client<S> {
  const transport = createGrpcTransport({
    baseUrl: options.address,
    interceptors: [authorize(options.token)],
    acceptCompression: [],
    defaultTimeoutMs: options.timeoutMs ?? 10_000,
    pingIntervalMs: 20_000,
  })
  return createClient(service, translateErrors(options.name, transport))
}

function authorize(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set('authorization', `Bearer ${token}`)
    return next(request)
  }
}

/** Wraps the transport, because Connect converts whatever an interceptor throws to a ConnectError. */
function translateErrors(name: string, transport: Transport): Transport {
  return {
    unary: (method, signal, timeoutMs, header, input, values) =>
      transport
        .unary(method, signal, timeoutMs, header, input, values)
        .catch((error: unknown) => translate(name, error, signal)),
    async stream(method, signal, timeoutMs, header, input, values) {
      const rethrow = (error: unknown) => translate(name, error, signal)
      const answer = await transport.stream(method, signal, timeoutMs, header, input, values).catch(rethrow)
      return { ...answer, message: translateMessages(answer.message, rethrow) }
    },
  }
}

async function* translateMessages<T>(messages: AsyncIterable<T>, rethrow: (error: unknown) => never): AsyncIterable<T> {
  try {
    yield* messages
  } catch (error) {
    rethrow(error)
  }
}

/** Passes on errors about the request under the same reason. Errors about this service itself, and missing responses, are
 * not the caller's fault. */
function translate(name: string, error: unknown, signal: AbortSignal | undefined): never {
  if (signal?.aborted) throw error
  const answer = reasonOf(error)
  if (answer && !OWN_ERRORS.includes(answer.reason)) {
    throw new ModelkeepError(answer.reason as Reason, ConnectError.from(error).rawMessage, answer.metadata)
  }
  if (!answer && !NO_RESPONSE.includes(ConnectError.from(error).code)) {
    throw new Error(`${name} service returned an unexpected response`, { cause: error })
  }
  const message = `${name} service is unavailable; retry`
  throw new ModelkeepError('DEPENDENCY_UNAVAILABLE', message, { dependency: name }, [], { cause: error })
}

/** Reasons of errors about this service or the peer, rather than about the request. */
const OWN_ERRORS = [
  'PERMISSION_DENIED',
  'TOKEN_INVALID',
  'TOKEN_EXPIRED',
  'INTERNAL',
  'DEPENDENCY_UNAVAILABLE',
  'OVERLOADED',
  'FIELD_INVALID',
]
/** Codes of calls that ended without a response from the peer's handler. */
const NO_RESPONSE: Code[] = [
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Canceled,
  Code.Unknown,
  Code.Aborted,
  Code.ResourceExhausted,
  Code.Internal,
]
