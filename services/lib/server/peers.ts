// Clients of the sister services.
import type { DescService } from '@bufbuild/protobuf'
import { Code, ConnectError, createClient, type Client, type Interceptor, type Transport } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { ModelkeepError, type Reason } from '../errors/errors.ts'
import { reasonOf } from '../errors/read-error.ts'

export interface SisterOptions {
  /** The sister's name, for errors. */
  name: string
  /** `http://host:port` or `https://…`. */
  address: string
  /** This service's own token. */
  token: string
  /** Longest wait for an answer. Default 10 s. */
  timeoutMs?: number
}

export function sisterClient<S extends DescService>(service: S, options: SisterOptions): Client<S> {
  const transport = createGrpcTransport({
    baseUrl: options.address,
    interceptors: [authorize(options.token)],
    acceptCompression: [],
    defaultTimeoutMs: options.timeoutMs ?? 10_000,
    pingIntervalMs: 20_000,
  })
  return createClient(service, translateAnswers(options.name, transport))
}

function authorize(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set('authorization', `Bearer ${token}`)
    return next(request)
  }
}

/** Around the transport, because what an interceptor throws comes out as a ConnectError. */
function translateAnswers(name: string, transport: Transport): Transport {
  return {
    unary: (method, signal, timeoutMs, header, input, values) =>
      transport
        .unary(method, signal, timeoutMs, header, input, values)
        .catch((error: unknown) => translate(name, error, signal)),
    async stream(method, signal, timeoutMs, header, input, values) {
      const refuse = (error: unknown) => translate(name, error, signal)
      const answer = await transport.stream(method, signal, timeoutMs, header, input, values).catch(refuse)
      return { ...answer, message: translateMessages(answer.message, refuse) }
    },
  }
}

async function* translateMessages<T>(messages: AsyncIterable<T>, refuse: (error: unknown) => never): AsyncIterable<T> {
  try {
    yield* messages
  } catch (error) {
    refuse(error)
  }
}

/** What a sister says of the request is passed on under the same reason. What it says of this service itself, and its
 * silence, are not the caller's doing. */
function translate(name: string, error: unknown, signal: AbortSignal | undefined): never {
  if (signal?.aborted) throw error
  const answer = reasonOf(error)
  if (answer && !BETWEEN_SERVICES.includes(answer.reason)) {
    throw new ModelkeepError(answer.reason as Reason, ConnectError.from(error).rawMessage, answer.metadata)
  }
  if (!answer && !SILENCE.includes(ConnectError.from(error).code)) {
    throw new Error(`${name} service returned an unexpected response`, { cause: error })
  }
  const message = `${name} service is unavailable; retry`
  throw new ModelkeepError('DEPENDENCY_UNAVAILABLE', message, { dependency: name }, [], { cause: error })
}

const BETWEEN_SERVICES = [
  'PERMISSION_DENIED',
  'TOKEN_INVALID',
  'TOKEN_EXPIRED',
  'INTERNAL',
  'DEPENDENCY_UNAVAILABLE',
  'OVERLOADED',
  'FIELD_INVALID',
]
const SILENCE: Code[] = [
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Canceled,
  Code.Unknown,
  Code.Aborted,
  Code.ResourceExhausted,
  Code.Internal,
]
