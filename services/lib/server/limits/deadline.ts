// Deadlines of callers, within what the timers of Node.js can hold.
import { parseTimeout as parseConnectTimeout } from '@connectrpc/connect/protocol-connect'
import { parseTimeout as parseGrpcTimeout } from '@connectrpc/connect/protocol-grpc'

/** A timer with a longer delay, 24.8 days, fires at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** Shortens a deadline that no timer can hold to the longest one that a timer can. */
export function shortenDeadline(header: Headers): void {
  const grpc = parseGrpcTimeout(header.get('grpc-timeout'), Infinity).timeoutMs
  if (grpc !== undefined && grpc > MAX_TIMER_MS) header.set('grpc-timeout', `${Math.floor(MAX_TIMER_MS / 1000)}S`)
  const connect = parseConnectTimeout(header.get('connect-timeout-ms'), Infinity).timeoutMs
  if (connect !== undefined && connect > MAX_TIMER_MS) header.set('connect-timeout-ms', String(MAX_TIMER_MS))
}
