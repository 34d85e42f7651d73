// The clients of the three services.
import type { DescService } from '@bufbuild/protobuf'
import { createClient, type Client, type Interceptor, type Transport } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { randomUUID } from 'node:crypto'
import { BlobService } from '#gen/modelkeep/artifact/v1/blob_service_pb.ts'
import { UploadService } from '#gen/modelkeep/artifact/v1/upload_service_pb.ts'
import { NamespaceService } from '#gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { createZeroCopyTransport } from '#lib/byte-streams/transport.ts'
import { reasonOf } from '#lib/errors/read-error.ts'
import { retry } from './retry.ts'
import { WideSessionManager } from './sessions.ts'
import type { Addresses, Settings } from '../settings.ts'

/** The limit of a response message, which bounds the memory that a server can claim. The longest response, a manifest of
 * 100,000 files, is far shorter. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024
const UNARY_TIMEOUT_MS = 30_000

export interface Registry {
  settings: Settings
  /** Aborted by Ctrl-C. */
  signal: AbortSignal
  metadata: <S extends DescService>(service: S) => Client<S>
  artifact: <S extends DescService>(service: S) => Client<S>
  audit: <S extends DescService>(service: S) => Client<S>
  /** Closes all connections; an abandoned stream would otherwise keep the process alive. */
  close: () => void
}

export function openRegistry(settings: Settings, signal: AbortSignal): Registry {
  const transports = new Map<string, Transport>()
  const sessions: WideSessionManager[] = []
  const clientFor = (part: keyof Addresses) => {
    return <S extends DescService>(service: S): Client<S> => {
      const address = settings.addresses[part]
      const transport = transports.get(address) ?? openTransport(sessions, address, settings, signal)
      transports.set(address, transport)
      return createClient(service, transport)
    }
  }
  return {
    settings,
    signal,
    metadata: clientFor('metadata'),
    artifact: clientFor('artifact'),
    audit: clientFor('audit'),
    close: () => sessions.forEach((session) => session.abort()),
  }
}

function openTransport(
  sessions: WideSessionManager[],
  address: string,
  settings: Settings,
  signal: AbortSignal,
): Transport {
  const sessionManager = new WideSessionManager(address)
  sessions.push(sessionManager)
  const common = {
    baseUrl: address,
    sessionManager,
    interceptors: [retryUnary(signal), authorize(settings.token)],
    readMaxBytes: MAX_MESSAGE_BYTES,
  }
  const general = createGrpcTransport({ ...common, acceptCompression: [] })
  return createZeroCopyTransport({ ...common, general, methods: BYTE_METHODS })
}

const CHUNK = { number: 2, maxBytes: 1024 * 1024 }

/** Methods whose bytes are not copied: read the chunks of their messages with `fromField`. */
const BYTE_METHODS = [
  { method: BlobService.method.uploadBlob, request: CHUNK },
  { method: BlobService.method.downloadBlob, response: CHUNK },
  { method: UploadService.method.writePart, request: CHUNK },
]

function authorize(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set('authorization', `Bearer ${token}`)
    request.header.set('user-agent', 'modelkeep-cli')
    request.header.set('x-request-id', randomUUID())
    return next(request)
  }
}

/** Retries unary calls, all of which are idempotent: reads, and changes with a request id. If the server has never answered,
 * the first failure is final. */
function retryUnary(signal: AbortSignal): Interceptor {
  let hasAnswered = false
  return (next) => async (request) => {
    if (request.stream) return next(request)
    const once = async () => {
      const answer = await next(request)
      hasAnswered = true
      return answer
    }
    try {
      return await once()
    } catch (error) {
      hasAnswered ||= reasonOf(error) !== undefined
      if (!hasAnswered || request.signal.aborted) throw error
      return retryAfter(error, signal, once)
    }
  }
}

async function retryAfter<T>(first: unknown, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  let isFirst = true
  return retry({ signal }, async () => {
    if (!isFirst) return work()
    isFirst = false
    throw first
  })
}

/** Returns the options of a unary call. */
export function unary(
  registry: Pick<Registry, 'signal'>,
  timeoutMs = UNARY_TIMEOUT_MS,
): { signal: AbortSignal; timeoutMs: number } {
  return { signal: registry.signal, timeoutMs }
}

/** Throws NAMESPACE_NOT_FOUND if the namespace does not exist, so that an empty list is not mistaken for it. */
export async function requireNamespace(registry: Registry, name: string): Promise<void> {
  await registry.metadata(NamespaceService).getNamespace({ name }, unary(registry))
}
