// Retries of transient failures, with a growing delay between attempts.
import { Code, ConnectError } from '@connectrpc/connect'
import { setTimeout as sleep } from 'node:timers/promises'
import { reasonOf, retryAfterMs } from '#lib/errors/read-error.ts'

const FIRST_WAIT_MS = 200
const LONGEST_WAIT_MS = 5_000
/** Maximum number of attempts without progress (about 20 seconds). */
const ATTEMPTS = 9
/** Maximum number of attempts while the service is overloaded (some minutes). */
const ATTEMPTS_WHEN_BUSY = 60
const TRANSIENT = ['OVERLOADED', 'DEPENDENCY_UNAVAILABLE', 'STREAM_IDLE', 'CONFLICT']
const CONNECTION_LOST = ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ERR_HTTP2_GOAWAY_SESSION', 'ERR_HTTP2_SESSION_ERROR']

/** Whether the same call may succeed later: by the reason of the service, or because the connection was lost. */
export function isTransient(error: unknown): boolean {
  const answer = reasonOf(error)
  if (answer) return TRANSIENT.includes(answer.reason)
  if (!(error instanceof ConnectError)) return false
  return error.code === Code.Unavailable || error.code === Code.Aborted || isConnectionLost(error)
}

/** Whether a stream was interrupted. Libraries report this in many ways, none with a reason of Modelkeep. */
function isConnectionLost(error: ConnectError): boolean {
  const cause = error.cause as NodeJS.ErrnoException | undefined
  if (
    cause?.code &&
    (CONNECTION_LOST.includes(cause.code) || cause.code.startsWith('ERR_HTTP2') || cause.code.startsWith('ERR_STREAM'))
  )
    return true
  const broken = [Code.Internal, Code.Unknown, Code.Canceled, Code.ResourceExhausted, Code.InvalidArgument]
  return (
    broken.includes(error.code) && /http\/2|stream|socket|connection|missing|premature|protocol/i.test(error.rawMessage)
  )
}

export interface RetryOptions {
  signal: AbortSignal
  /** Called after a failure. If it returns true, there was progress since the last failure, and the attempts start over. */
  hasProgressed?: () => boolean
}

export async function retry<T>(options: RetryOptions, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      options.signal.throwIfAborted()
      if (!isTransient(error)) throw error
      if (options.hasProgressed?.()) attempt = 1
      if (attempt >= (reasonOf(error)?.reason === 'OVERLOADED' ? ATTEMPTS_WHEN_BUSY : ATTEMPTS)) throw error
      const wait = Math.min(FIRST_WAIT_MS * 2 ** (attempt - 1), LONGEST_WAIT_MS)
      // The delay is never shorter than the service requested, and random, so that clients do not retry at the same time.
      await sleep(retryAfterMs(error) + wait * (0.5 + Math.random() / 2), undefined, { signal: options.signal })
    }
  }
}
