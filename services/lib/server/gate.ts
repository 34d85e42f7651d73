// The gate: decides before the first byte of the body is read. Everything is refused unless a rule allows it.
import type { DescMethod } from '@bufbuild/protobuf'
import { Code, type HandlerContext } from '@connectrpc/connect'
import { randomUUID } from 'node:crypto'
import { Permission } from '#gen/modelkeep/common/v1/access_pb.ts'
import {
  Access,
  accessKey,
  holdsAnywhere,
  isPlatformAdmin,
  NOBODY,
  permissionName,
  roleHint,
  renewAccessKey,
  requestIdKey,
  traceIdKey,
} from '../access/caller.ts'
import type { Caller } from '../access/caller.ts'
import { fail, ModelkeepError } from '../errors/errors.ts'
import { toConnectError } from '../errors/connect-error.ts'
import { accessRuleOf, methodName } from '../access/method-rules.ts'
import type { Logger } from '../process/log.ts'
import { findRefusal, keepRefusal, type RecordRefusal } from './refusals.ts'

/** Finds out whom a bearer token stands for. Throws TOKEN_INVALID or TOKEN_EXPIRED. */
export type Authenticate = (token: string, signal: AbortSignal) => Promise<Caller>

export interface GateOptions {
  authenticate: Authenticate
  recordRefusal: RecordRefusal
  logger: Logger
}

/** Services that anybody may ask, as load balancers and `grpcurl` do. */
const PUBLIC_SERVICES = [
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
]

export function createGate(options: GateOptions): (context: HandlerContext) => Promise<void> {
  return async (context) => {
    const requestId = readRequestId(context.requestHeader.get('x-request-id'))
    context.values.set(requestIdKey, requestId)
    context.values.set(traceIdKey, readTraceId(context.requestHeader.get('traceparent')))
    context.responseHeader.set('x-request-id', requestId)
    if (PUBLIC_SERVICES.includes(context.service.typeName)) return
    let caller = NOBODY
    try {
      const token = bearerToken(context.requestHeader)
      caller = await options.authenticate(token, context.signal)
      context.values.set(accessKey, admit(context.method, caller))
      context.values.set(renewAccessKey, async () =>
        admit(context.method, await options.authenticate(token, context.signal)),
      )
    } catch (error) {
      const method = methodName(context.method)
      await keepRefusal(options, findRefusal(error, { caller, method: context.method, namespace: '', requestId }))
      logRefusal(options.logger, { requestId, method, principal: caller.principal }, error, context.signal)
      throw toConnectError(error, context.signal)
    }
  }
}

/** What the caller did or may not do needs no stack, and not an operator's attention. */
const CALLERS_DOING = [
  Code.Unauthenticated,
  Code.PermissionDenied,
  Code.InvalidArgument,
  Code.OutOfRange,
  Code.NotFound,
]

export function logRefusal(logger: Logger, entry: Record<string, string>, error: unknown, signal?: AbortSignal): void {
  const { code } = toConnectError(error, signal)
  const call = { ...entry, code: Code[code] }
  if (error instanceof ModelkeepError && CALLERS_DOING.includes(code)) {
    logger.info({ ...call, reason: error.reason, detail: error.message }, 'refused')
  } else if (signal?.aborted && [Code.Canceled, Code.DeadlineExceeded].includes(code)) {
    logger.info(call, 'ended by the caller')
  } else {
    logger[code === Code.Internal ? 'error' : 'warn']({ ...call, error }, 'refused')
  }
}

/** The first of the two checks: does the caller hold the permission anywhere? */
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

/** A caller's own id is kept when it is harmless, so that logs of both sides meet. */
function readRequestId(header: string | null): string {
  return header && /^[A-Za-z0-9._-]{1,64}$/.test(header) ? header : randomUUID()
}

function readTraceId(header: string | null): string {
  return header?.match(/^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/)?.[1] ?? ''
}
