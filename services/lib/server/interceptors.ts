// Interceptors around every call, outermost first: log line, error translation, proof that access was checked, and the
// principal for whom the handler runs.
import { Code, ConnectError, type Interceptor, type StreamResponse, type UnaryResponse } from '@connectrpc/connect'
import { Permission } from '#gen/modelkeep/common/v1/access_pb.ts'
import { accessKey, requestIdKey, type Access } from '../access/caller.ts'
import { ModelkeepError } from '../errors/errors.ts'
import { toConnectError } from '../errors/connect-error.ts'
import { methodName } from '../access/method-rules.ts'
import type { Logger } from '../process/log.ts'
import { iterateFor, runFor } from '../process/principal.ts'
import { findRefusal, tryRecordRefusal, type RecordRefusal } from './refusals.ts'

type Answer = UnaryResponse | StreamResponse

export function createInterceptors(logger: Logger, recordRefusal: RecordRefusal): Interceptor[] {
  return [observe(logger), translate(logger, recordRefusal), enforce, account]
}

/** Logs one line per call when it ends. */
function observe(logger: Logger): Interceptor {
  return (next) => async (request) => {
    const began = performance.now()
    const finish = (code: string) => {
      const access = request.contextValues.get(accessKey)
      const entry = {
        requestId: request.contextValues.get(requestIdKey),
        method: methodName(request.method),
        principal: access.caller.principal,
        code,
        milliseconds: Math.round((performance.now() - began) * 10) / 10,
      }
      if (code === 'Internal' || code === 'Unknown' || code === 'DataLoss') logger.error(entry, 'call')
      else logger.info(entry, 'call')
    }
    return settle(
      () => next(request),
      finish,
      (error) => {
        finish(Code[ConnectError.from(error).code])
        throw error
      },
    )
  }
}

function translate(logger: Logger, recordRefusal: RecordRefusal): Interceptor {
  return (next) => (request) =>
    settle(
      () => next(request),
      undefined,
      async (error) => {
        const requestId = request.contextValues.get(requestIdKey)
        const { caller, namespace } = request.contextValues.get(accessKey)
        const refused = toConnectError(error, request.signal)
        const refusal = findRefusal(error, { caller, method: request.method, namespace, requestId }, refused)
        await tryRecordRefusal({ recordRefusal, logger }, refusal)
        const method = methodName(request.method)
        if (refused.code === Code.Internal) logger.error({ requestId, method, error }, 'internal error')
        // The cause of a failed store, database or peer is logged for the operator, and not sent to the caller.
        else if (error instanceof ModelkeepError && error.cause)
          logger.warn({ requestId, method, error }, 'dependency failed')
        throw refused
      },
    )
}

const CHECKED_BY_GATE: Permission[] = [Permission.AUTHENTICATED, Permission.PLATFORM, Permission.SERVICE]

/** Withholds the response of a handler that did not check access. */
const enforce: Interceptor = (next) => async (request) => {
  const access = request.contextValues.get(accessKey)
  const answer = await next(request)
  if (!answer.stream) {
    assertChecked(access)
    return answer
  }
  return { ...answer, message: checkFirst(answer.message, access) }
}

async function* checkFirst<T>(messages: AsyncIterable<T>, access: Access): AsyncIterable<T> {
  for await (const message of messages) {
    assertChecked(access)
    yield message
  }
}

function assertChecked(access: Access): void {
  // Public methods, such as health and reflection, have no permission.
  const isPublic = access.permission === Permission.UNSPECIFIED
  if (isPublic || access.isChecked || CHECKED_BY_GATE.includes(access.permission)) return
  throw new ModelkeepError('INTERNAL', 'response withheld: the handler did not check access')
}

/** Runs the handler for the principal of the call, so that connections and other shared resources count as theirs. */
const account: Interceptor = (next) => async (request) => {
  const { principal } = request.contextValues.get(accessKey).caller
  const answer = await runFor(principal, () => next(request))
  return answer.stream ? { ...answer, message: iterateFor(principal, answer.message) } : answer
}

/** Runs `onError` wherever a call can fail: at once, or while the messages of its response are read. */
async function settle<A extends Answer>(
  call: () => Promise<A>,
  onEnd: ((code: string) => void) | undefined,
  onError: (error: unknown) => never | Promise<never>,
): Promise<A> {
  let answer: A
  try {
    answer = await call()
  } catch (error) {
    return onError(error)
  }
  if (!answer.stream) {
    onEnd?.('OK')
    return answer
  }
  return { ...answer, message: relay(answer.message, onEnd, onError) }
}

async function* relay<T>(
  messages: AsyncIterable<T>,
  onEnd: ((code: string) => void) | undefined,
  onError: (error: unknown) => never | Promise<never>,
): AsyncIterable<T> {
  let ended = false
  try {
    yield* messages
    ended = true
    onEnd?.('OK')
  } catch (error) {
    ended = true
    await onError(error)
  } finally {
    if (!ended) onEnd?.('Canceled')
  }
}
