// What goes wrong between here and the store. It never holds a URL: whoever has one can use it.
import { Code, ConnectError } from '@connectrpc/connect'

export class StoreProblem extends ConnectError {
  readonly kind: 'unreachable' | 'stalled' | 'refused'
  /** The status of a refusal. */
  readonly status: number

  constructor(kind: StoreProblem['kind'], message: string, status = 0) {
    super(message, Code.Unavailable)
    this.kind = kind
    this.status = status
  }
}

/** `instanceof` would be true of every ConnectError. */
export function isStoreProblem(error: unknown): error is StoreProblem {
  return error instanceof ConnectError && 'kind' in error && 'status' in error
}
