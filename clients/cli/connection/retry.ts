// Trying again: which failures may pass, and how long to wait between attempts.
import { Code, ConnectError } from '@connectrpc/connect'
import { setTimeout as sleep } from 'node:timers/promises'
import { reasonOf, retryAfterMs } from '#lib/errors/read-error.ts'

const FIRST_WAIT_MS = 200
const LONGEST_WAIT_MS = 5_000
/** About 20 seconds in a row without any progress. */
const ATTEMPTS = 9
/** A service that has too much to do gets more patience than one that fails: some minutes. */
const ATTEMPTS_WHEN_BUSY = 60
const PASSING = ['OVERLOADED', 'DEPENDENCY_UNAVAILABLE', 'STREAM_IDLE', 'CONFLICT']
const LOST = ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ERR_HTTP2_GOAWAY_SESSION', 'ERR_HTTP2_SESSION_ERROR']

/** Whether the same call may succeed later: the service said so, or the connection was lost. */
export function mayPass(error: unknown): boolean {
  const answer = reasonOf(error)
  if (answer) return PASSING.includes(answer.reason)
  if (!(error instanceof ConnectError)) return false
  return error.code === Code.Unavailable || error.code === Code.Aborted || isLost(error)
}

/** A stream that broke off reports itself in many ways; none of them carries a reason of Modelkeep. */
function isLost(error: ConnectError): boolean {
  const cause = error.cause as NodeJS.ErrnoException | undefined
  if (
    cause?.code &&
    (LOST.includes(cause.code) || cause.code.startsWith('ERR_HTTP2') || cause.code.startsWith('ERR_STREAM'))
  )
    return true
  const broken = [Code.Internal, Code.Unknown, Code.Canceled, Code.ResourceExhausted, Code.InvalidArgument]
  return (
    broken.includes(error.code) && /http\/2|stream|socket|connection|missing|premature|protocol/i.test(error.rawMessage)
  )
}

export interface RetryOptions {
  signal: AbortSignal
  /** Asked after a failure: true when something was gained since the last one, so that patience begins anew. */
  hasProgressed?: () => boolean
}

export async function retry<T>(options: RetryOptions, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      options.signal.throwIfAborted()
      if (!mayPass(error)) throw error
      if (options.hasProgressed?.()) attempt = 1
      if (attempt >= (reasonOf(error)?.reason === 'OVERLOADED' ? ATTEMPTS_WHEN_BUSY : ATTEMPTS)) throw error
      const wait = Math.min(FIRST_WAIT_MS * 2 ** (attempt - 1), LONGEST_WAIT_MS)
      // Never before the service asked for it, and not all at once.
      await sleep(retryAfterMs(error) + wait * (0.5 + Math.random() / 2), undefined, { signal: options.signal })
    }
  }
}
