// The gate authenticates and authorizes a call before the first byte of its body is read. It refuses every call that no
// rule allows.
import type { DescMethod } from '@bufbuild/protobuf'
import { Code, type HandlerContext } from '@connectrpc/connect'
import { randomUUID } from 'node:crypto'
import { Permission } from '#gen/modelkeep/common/v1/access_pb.ts'
import {
  Access,
  accessKey,
  holdsAnywhere,
  isPlatformAdmin,
  ANONYMOUS,
  permissionName,
  roleHint,
  renewAccessKey,
  requestIdKey,
  traceIdKey,
} from '../access/caller.ts'
import type { Caller } from '../access/caller.ts'
import { fail, ModelkeepError } from '../errors/errors.ts'
import { blameSenderOfUnreadable, toConnectError } from '../errors/connect-error.ts'
import { accessRuleOf, methodName } from '../access/method-rules.ts'
import type { Logger } from '../process/log.ts'
import { connectionKey } from './limits/connections.ts'
import { ShareLimit } from './limits/share-limit.ts'
import { findRefusal, tryRecordRefusal, type RecordRefusal } from './refusals.ts'

/** Returns the caller to whom a bearer token belongs. Throws TOKEN_INVALID or TOKEN_EXPIRED. */
export type Authenticate = (token: string, signal: AbortSignal) => Promise<Caller>

export interface GateOptions {
  authenticate: Authenticate
  recordRefusal: RecordRefusal
  logger: Logger
}

/** Services that need no token, for load balancers and `grpcurl`. */
const PUBLIC_SERVICES = [
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
]
/** Limit of the streams without a token that are open at a time. */
const MAX_PUBLIC_STREAMS = 4096

export function createGate(options: GateOptions): (context: HandlerContext) => Promise<void> {
  const publicStreams = new ShareLimit(MAX_PUBLIC_STREAMS, 'streams without a token')
  return async (context) => {
    blameSenderOfUnreadable(context.signal)
    const requestId = readRequestId(context.requestHeader.get('x-request-id'))
    context.values.set(requestIdKey, requestId)
    context.values.set(traceIdKey, readTraceId(context.requestHeader.get('traceparent')))
    context.responseHeader.set('x-request-id', requestId)
    if (PUBLIC_SERVICES.includes(context.service.typeName)) return countPublic(publicStreams, context)
    let caller = ANONYMOUS
    try {
      const token = bearerToken(context.requestHeader)
      caller = await options.authenticate(token, context.signal)
      context.values.get(connectionKey).admit()
      context.values.set(accessKey, admit(context.method, caller))
      context.values.set(renewAccessKey, async () =>
        admit(context.method, await options.authenticate(token, context.signal)),
      )
    } catch (error) {
      const method = methodName(context.method)
      await tryRecordRefusal(options, findRefusal(error, { caller, method: context.method, namespace: '', requestId }))
      logRefusal(options.logger, { requestId, method, principal: caller.principal }, error, context.signal)
      throw toConnectError(error, context.signal)
    }
  }
}

/** Counts a stream for the network that it comes from, until it ends. Throws OVERLOADED. */
function countPublic(streams: ShareLimit, { method, signal, values }: HandlerContext): void {
  if (method.methodKind === 'unary') return
  try {
    signal.addEventListener('abort', streams.enter(values.get(connectionKey).network), { once: true })
  } catch (error) {
    throw toConnectError(error)
  }
}

/** Codes of errors that the caller causes. They are logged without a stack, at level info. */
const CALLER_ERRORS = [
  Code.Unauthenticated,
  Code.PermissionDenied,
  Code.InvalidArgument,
  Code.OutOfRange,
  Code.NotFound,
]

export function logRefusal(logger: Logger, entry: Record<string, string>, error: unknown, signal?: AbortSignal): void {
  const { code } = toConnectError(error, signal)
  const call = { ...entry, code: Code[code] }
  if (error instanceof ModelkeepError && CALLER_ERRORS.includes(code)) {
    logger.info({ ...call, reason: error.reason, detail: error.message }, 'call refused')
  } else if (signal?.aborted && [Code.Canceled, Code.DeadlineExceeded].includes(code)) {
    logger.info(call, 'call canceled by the caller')
  } else {
    logger[code === Code.Internal ? 'error' : 'warn']({ ...call, error }, 'call refused')
  }
}

/** The first of two checks: whether the caller holds the permission on any namespace. Throws PERMISSION_DENIED. */
export function admit(method: DescMethod, caller: Caller): Access {
  const { permission, services } = accessRuleOf(method)
  if (!mayCall(caller, permission, services)) {
    const name = permissionName(permission)
    const message = `denied: permission ${name} for ${methodName(method)} is missing${roleHint(permission)}`
    fail('PERMISSION_DENIED', message, { permission: name })
  }
  return new Access(caller, permission)
}

function mayCall(caller: Caller, permission: Permission, services: string[]): boolean {
  switch (permission) {
    case Permission.SERVICE:
      return caller.service !== '' && services.includes(caller.service)
    case Permission.AUTHENTICATED:
      return caller.method !== 'none'
    case Permission.PLATFORM:
      return isPlatformAdmin(caller)
    case Permission.READ:
    case Permission.WRITE:
    case Permission.APPROVE:
    case Permission.ADMINISTER:
      return holdsAnywhere(caller, permission)
    default:
      return false
  }
}

export function bearerToken(header: Headers): string {
  const [scheme, token, ...rest] = (header.get('authorization') ?? '').split(' ')
  if (scheme?.toLowerCase() !== 'bearer' || !token || rest.length > 0) {
    fail('TOKEN_INVALID', 'bearer token is missing or malformed; send the header "authorization: Bearer mk_…"')
  }
  return token
}

/** Adopts the caller's id if it is well-formed, so that the logs of both sides can be joined. */
function readRequestId(header: string | null): string {
  return header && /^[A-Za-z0-9._-]{1,64}$/.test(header) ? header : randomUUID()
}

function readTraceId(header: string | null): string {
  return header?.match(/^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/)?.[1] ?? ''
}
