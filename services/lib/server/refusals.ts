// What is told of calls that were refused: denials of any call, and failed attempts at what is audited.
import type { DescMethod, JsonObject } from '@bufbuild/protobuf'
import { Code, type ConnectError } from '@connectrpc/connect'
import { Outcome } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { repeat, type Background } from '../process/background.ts'
import type { Caller } from '../access/caller.ts'
import { ModelkeepError } from '../errors/errors.ts'
import type { EventType } from '../events/event-types.ts'
import { toConnectError } from '../errors/connect-error.ts'
import { reasonOf } from '../errors/read-error.ts'
import { accessRuleOf, methodName } from '../access/method-rules.ts'
import { Lately } from '../process/lately.ts'
import type { Logger } from '../process/log.ts'

export interface Refusal {
  type: EventType
  caller: Caller
  /** `modelkeep.metadata.v1.ModelService/CreateModel`. */
  method: string
  /** Empty when the call was refused before it named one. */
  namespace: string
  requestId: string
  /** As the caller is told it. */
  reason: string
  details: JsonObject
  /** How many others like it were not told since the last that was. */
  repeats?: number
}

/** Keeps the refusal of a known caller as an event. */
export type RecordRefusal = (refusal: Refusal) => Promise<void>

interface Call {
  caller: Caller
  method: DescMethod
  namespace: string
  requestId: string
}

/** The caller's doing, or what stood in its way. Our own faults, as OVERLOADED is, are in the log of the service. */
const FAILED_ATTEMPTS = [
  Code.InvalidArgument,
  Code.OutOfRange,
  Code.NotFound,
  Code.AlreadyExists,
  Code.FailedPrecondition,
  Code.Aborted,
  Code.ResourceExhausted,
]

/** What is to be told of a call that ended in `error`; undefined for nothing. `refused` is what the caller is told. */
export function findRefusal(
  error: unknown,
  { caller, method, namespace, requestId }: Call,
  refused: ConnectError = toConnectError(error),
): Refusal | undefined {
  const call = { caller, method: methodName(method), namespace, requestId }
  if (error instanceof ModelkeepError && error.reason === 'PERMISSION_DENIED') {
    const details = { permission: error.metadata['permission'] ?? '' }
    return { ...call, type: 'access.denied.v1', reason: error.reason, details }
  }
  const reason = reasonOf(refused)?.reason
  if (!reason || caller.method === 'none' || !accessRuleOf(method).audited) return undefined
  if (!FAILED_ATTEMPTS.includes(refused.code) || reason === 'OVERLOADED') return undefined
  return { ...call, type: 'attempt.failed.v1', reason, details: { reason, code: Code[refused.code] } }
}

/** A refusal stands whether or not it can be recorded at present. */
export async function keepRefusal(
  { recordRefusal, logger }: { recordRefusal: RecordRefusal; logger: Logger },
  refusal: Refusal | undefined,
): Promise<void> {
  if (!refusal) return
  const { requestId, method, type } = refusal
  await recordRefusal(refusal).catch((error: unknown) => {
    logger.error({ error, requestId, method, type }, 'a refusal could not be recorded')
  })
}

/** The event of a refusal. */
export function refusalEvent({ type, caller, method, namespace, requestId, details, repeats = 0 }: Refusal) {
  return {
    type,
    actor: { principal: caller.principal, method: caller.method, credentialId: caller.credentialId },
    resource: { type: 'rpc', id: method, namespace, name: method },
    outcome: Outcome.DENIED,
    requestId,
    details: repeats > 0 ? { ...details, repeats } : details,
  }
}

/** The same refusal of the same caller is told once in so long. */
const AGAIN_MS = 60_000
const LOOK_EVERY_MS = 5_000
const MOST_REMEMBERED = 10_000

interface Told {
  last: Refusal
  /** How many were not told since. */
  untold: number
}

/** Tells every refusal, but not each by itself: those that repeat one within a minute are counted, and the next event
 * has their number. Where none comes, the last of them is told once the minute is over. */
export class Refusals {
  readonly #record: RecordRefusal
  readonly #logger: Logger
  readonly #lately: Lately<Told>
  /** Forgotten with something untold. */
  readonly #due = new Map<string, Told>()
  readonly #looking: Background

  constructor(record: RecordRefusal, logger: Logger) {
    this.#record = record
    this.#logger = logger
    this.#lately = new Lately({
      forgetMs: AGAIN_MS,
      most: MOST_REMEMBERED,
      onForgotten: (key, told) => void (told.untold > 0 && this.#due.set(key, told)),
    })
    this.#looking = repeat('telling of repeated refusals', LOOK_EVERY_MS, () => this.tellDue(), logger)
  }

  async tell(refusal: Refusal): Promise<void> {
    const key = JSON.stringify([refusal.caller.principal, refusal.method, refusal.reason])
    const told = this.#lately.get(key)
    if (told) {
      told.last = refusal
      told.untold += 1
      return
    }
    const repeats = this.#due.get(key)?.untold ?? 0
    this.#due.delete(key)
    await this.#write(key, refusal, repeats)
  }

  /** Tells what was last told of more than a minute ago, and has come again. */
  async tellDue(): Promise<void> {
    this.#lately.forget()
    for (const [key, { last, untold }] of this.#due) {
      this.#due.delete(key)
      await this.#write(key, last, untold - 1)
    }
  }

  /** Tells what is untold. */
  async close(): Promise<void> {
    await this.#looking.stop()
    this.#lately.forget(0)
    await this.tellDue().catch((error: unknown) => this.#logger.error({ error }, 'refusals could not be recorded'))
  }

  async #write(key: string, refusal: Refusal, repeats: number): Promise<void> {
    const told: Told = { last: refusal, untold: 0 }
    this.#lately.set(key, told)
    try {
      await this.#record({ ...refusal, repeats })
    } catch (error) {
      // It is told when the next one is.
      told.untold += repeats + 1
      throw error
    }
  }
}
