// Errors of requests to the store. They never contain a signed URL, which is a credential.
import { Code, ConnectError } from '@connectrpc/connect'

export class StoreError extends ConnectError {
  readonly kind: 'unreachable' | 'stalled' | 'refused'
  /** The HTTP status of a refusal; 0 for other kinds. */
  readonly status: number

  constructor(kind: StoreError['kind'], message: string, status = 0) {
    super(message, Code.Unavailable)
    this.kind = kind
    this.status = status
  }
}

/** `instanceof` would match every ConnectError, which defines its own check. */
export function isStoreError(error: unknown): error is StoreError {
  return error instanceof ConnectError && 'kind' in error && 'status' in error
}
