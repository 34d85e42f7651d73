// The error class of Modelkeep. proto/modelkeep/common/v1/error_reason.proto documents the reasons.
import type { ErrorReason } from '#gen/modelkeep/common/v1/error_reason_pb.ts'

export type Reason = Exclude<keyof typeof ErrorReason, 'UNSPECIFIED'>

export interface Violation {
  /** Path of the field in the request, for example `facts.metrics[2].name`. */
  field: string
  /** The requirement on the field, for example `must be finite`. */
  rule: string
}

/** An unmet precondition, in the form of `google.rpc.PreconditionFailure`. */
export interface Precondition {
  type: string
  subject: string
  description: string
}

export class ModelkeepError extends Error {
  override name = 'ModelkeepError'
  readonly reason: Reason
  /** The variable parts of the message, as documented at the reason. */
  readonly metadata: Record<string, string>
  readonly violations: Violation[]
  readonly preconditions: Precondition[]

  constructor(
    reason: Reason,
    message: string,
    metadata: Record<string, string> = {},
    violations: Violation[] = [],
    options: ErrorOptions & { preconditions?: Precondition[] } = {},
  ) {
    super(message, options)
    this.preconditions = options.preconditions ?? []
    this.reason = reason
    this.metadata = metadata
    this.violations = violations
  }
}

export function fail(reason: Reason, message: string, metadata: Record<string, string> = {}): never {
  throw new ModelkeepError(reason, message, metadata)
}

/** Throws FIELD_INVALID. `field` is the path in the request; `rule` completes the sentence "<field> …". */
export function failField(field: string, rule: string): never {
  throw new ModelkeepError('FIELD_INVALID', `${field} ${rule}`, { field, rule }, [{ field, rule }])
}

/** Throws LIMIT_EXCEEDED for input over a documented limit. `unit` is plural, for example `labels`. */
export function failLimit(field: string, limit: number, unit: string): never {
  const rule = `must have at most ${limit} ${unit}`
  throw new ModelkeepError('LIMIT_EXCEEDED', `${field} ${rule}`, { field, limit: String(limit) }, [{ field, rule }])
}
