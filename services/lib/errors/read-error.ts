// What a client of a Modelkeep service reads from an error.
import { ConnectError } from '@connectrpc/connect'
import { ErrorInfoSchema, RetryInfoSchema } from '#gen/google/rpc/error_details_pb.ts'

/** Of `google.rpc.ErrorInfo`. */
export const DOMAIN = 'modelkeep'

/** How long a service asked to wait before another try; 0 where it did not ask. */
export function retryAfterMs(error: unknown): number {
  if (!(error instanceof ConnectError)) return 0
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay
  return delay ? Number(delay.seconds) * 1000 + delay.nanos / 1e6 : 0
}

/** The reason a Modelkeep service gave, seen from a client of it; undefined for other errors. */
export function reasonOf(error: unknown): { reason: string; metadata: Record<string, string> } | undefined {
  if (!(error instanceof ConnectError)) return undefined
  const info = error.findDetails(ErrorInfoSchema).find(({ domain }) => domain === DOMAIN)
  return info && { reason: info.reason, metadata: info.metadata }
}
