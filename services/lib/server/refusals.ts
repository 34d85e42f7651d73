// Events about refused calls: denials of any call, and failed attempts at audited ones.
import type { DescMethod, JsonObject } from '@bufbuild/protobuf'
import { Code, type ConnectError } from '@connectrpc/connect'
import { LRUCache } from 'lru-cache'
import { Outcome } from '#gen/modelkeep/audit/v1/event_pb.ts'
import { repeat, type Background } from '../process/background.ts'
import type { Caller } from '../access/caller.ts'
import { ModelkeepError } from '../errors/errors.ts'
import type { EventType } from '../events/event-types.ts'
import { toConnectError } from '../errors/connect-error.ts'
import { reasonOf } from '../errors/read-error.ts'
import { accessRuleOf, methodName } from '../access/method-rules.ts'
import type { Logger } from '../process/log.ts'

export interface Refusal {
  type: EventType
  caller: Caller
  /** The full name of the RPC, for example `modelkeep.metadata.v1.ModelService/CreateModel`. */
  method: string
  /** Empty when the call was refused before it named one. */
  namespace: string
  requestId: string
  /** The reason in the caller's error. */
  reason: string
  details: JsonObject
  /** How many refusals like this one were suppressed since the last recorded one. */
  repeats?: number
}

/** Records the refusal of a known caller as an event. */
export type RecordRefusal = (refusal: Refusal) => Promise<void>

interface Call {
  caller: Caller
  method: DescMethod
  namespace: string
  requestId: string
}

/** Codes of attempts that failed because of the caller or of the state of the registry. Faults of the service, OVERLOADED
 * included, appear in the service log only. */
const FAILED_ATTEMPTS = [
  Code.InvalidArgument,
  Code.OutOfRange,
  Code.NotFound,
  Code.AlreadyExists,
  Code.FailedPrecondition,
  Code.Aborted,
  Code.ResourceExhausted,
]

/** Returns the refusal to record for a call that ended in `error`, or undefined if it is not recorded. `refused` is the
 * error that the caller receives. */
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

/** Records a refusal, or logs that this failed: the call is refused either way. */
export async function tryRecordRefusal(
  { recordRefusal, logger }: { recordRefusal: RecordRefusal; logger: Logger },
  refusal: Refusal | undefined,
): Promise<void> {
  if (!refusal) return
  const { requestId, method, type } = refusal
  await recordRefusal(refusal).catch((error: unknown) => {
    logger.error({ error, requestId, method, type }, 'refusal not recorded')
  })
}

/** Builds the event of a refusal. */
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

/** Refusals with the same caller, method and reason within this time are recorded once. */
const WINDOW_MS = 60_000
const FLUSH_EVERY_MS = 5_000
const MAX_REMEMBERED = 10_000

interface Recent {
  last: Refusal
  /** Refusals that were suppressed since the last recorded one. */
  suppressed: number
}

/** Records refusals, the same one at most once a minute per process: repeats are counted, and the next event carries the
 * count. If none follows, the last repeat is recorded once the minute is over. */
export class RefusalThrottle {
  readonly #record: RecordRefusal
  readonly #logger: Logger
  readonly #recent: LRUCache<string, Recent>
  /** Entries that left the cache with suppressed refusals. */
  readonly #due = new Map<string, Recent>()
  readonly #flushing: Background

  constructor(record: RecordRefusal, logger: Logger) {
    this.#record = record
    this.#logger = logger
    this.#recent = new LRUCache({
      max: MAX_REMEMBERED,
      ttl: WINDOW_MS,
      dispose: (recent, key) => void (recent.suppressed > 0 && this.#due.set(key, recent)),
    })
    this.#flushing = repeat('record repeated refusals', FLUSH_EVERY_MS, () => this.flushDue(), logger)
  }

  async report(refusal: Refusal): Promise<void> {
    const key = JSON.stringify([refusal.caller.principal, refusal.method, refusal.reason])
    const recent = this.#recent.get(key)
    if (recent) {
      recent.last = refusal
      recent.suppressed += 1
      return
    }
    const repeats = this.#due.get(key)?.suppressed ?? 0
    this.#due.delete(key)
    await this.#write(key, refusal, repeats)
  }

  /** Records the repeats whose minute is over. */
  async flushDue(): Promise<void> {
    this.#recent.purgeStale()
    for (const [key, { last, suppressed }] of this.#due) {
      this.#due.delete(key)
      await this.#write(key, last, suppressed - 1)
    }
  }

  /** Records all suppressed refusals and stops. */
  async close(): Promise<void> {
    await this.#flushing.stop()
    this.#recent.clear()
    await this.flushDue().catch((error: unknown) => this.#logger.error({ error }, 'refusals not recorded'))
  }

  async #write(key: string, refusal: Refusal, repeats: number): Promise<void> {
    const recent: Recent = { last: refusal, suppressed: 0 }
    this.#recent.set(key, recent)
    try {
      await this.#record({ ...refusal, repeats })
    } catch (error) {
      // The next event of this key carries the count.
      recent.suppressed += repeats + 1
      throw error
    }
  }
}
