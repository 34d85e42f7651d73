// Error details as a client of a Modelkeep service reads them.
import { ConnectError } from '@connectrpc/connect'
import { ErrorInfoSchema, RetryInfoSchema } from '#gen/google/rpc/error_details_pb.ts'

/** The domain in `google.rpc.ErrorInfo`. */
export const DOMAIN = 'modelkeep'

/** Returns the retry delay that the service requested, in milliseconds; 0 if it gave none. */
export function retryAfterMs(error: unknown): number {
  if (!(error instanceof ConnectError)) return 0
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay
  return delay ? Number(delay.seconds) * 1000 + delay.nanos / 1e6 : 0
}

/** Returns reason and metadata of an error of a Modelkeep service; undefined for other errors. */
export function reasonOf(error: unknown): { reason: string; metadata: Record<string, string> } | undefined {
  if (!(error instanceof ConnectError)) return undefined
  const info = error.findDetails(ErrorInfoSchema).find(({ domain }) => domain === DOMAIN)
  return info && { reason: info.reason, metadata: info.metadata }
}
