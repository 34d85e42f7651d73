// Around every call, outermost first: a log line, error translation, and the proof that access was asked.
import { Code, ConnectError, type Interceptor, type StreamResponse, type UnaryResponse } from '@connectrpc/connect'
import { Permission } from '#gen/modelkeep/common/v1/access_pb.ts'
import { accessKey, requestIdKey, type Access } from '../access/caller.ts'
import { ModelkeepError } from '../errors/errors.ts'
import { toConnectError } from '../errors/connect-error.ts'
import { methodName } from '../access/method-rules.ts'
import type { Logger } from '../process/log.ts'
import { findRefusal, keepRefusal, type RecordRefusal } from './refusals.ts'

type Answer = UnaryResponse | StreamResponse

export function createInterceptors(logger: Logger, recordRefusal: RecordRefusal): Interceptor[] {
  return [observe(logger), translate(logger, recordRefusal), enforce]
}

/** One line a call, when it ends. */
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
        await keepRefusal({ recordRefusal, logger }, refusal)
        const method = methodName(request.method)
        if (refused.code === Code.Internal) logger.error({ requestId, method, error }, 'fault')
        // Why a store, a database or a sister failed is the operator's to know, and not the caller's.
        else if (error instanceof ModelkeepError && error.cause) logger.warn({ requestId, method, error }, 'failing')
        throw refused
      },
    )
}

const ASKED_BY_THE_GATE: Permission[] = [Permission.AUTHENTICATED, Permission.PLATFORM, Permission.SERVICE]

/** A handler that forgot to ask for access does not answer. */
const enforce: Interceptor = (next) => async (request) => {
  const access = request.contextValues.get(accessKey)
  const answer = await next(request)
  if (!answer.stream) {
    assertAsked(access)
    return answer
  }
  return { ...answer, message: checkFirst(answer.message, access) }
}

async function* checkFirst<T>(messages: AsyncIterable<T>, access: Access): AsyncIterable<T> {
  for await (const message of messages) {
    assertAsked(access)
    yield message
  }
}

function assertAsked(access: Access): void {
  // Health and reflection come with no access at all: the gate let them pass as public.
  const isPublic = access.permission === Permission.UNSPECIFIED
  if (isPublic || access.asked || ASKED_BY_THE_GATE.includes(access.permission)) return
  throw new ModelkeepError('INTERNAL', 'response withheld: the handler did not check access')
}

/** Runs `onError` wherever a call can fail: at once, or while its messages are read. */
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
