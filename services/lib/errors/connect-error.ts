// Conversion of thrown errors to what the caller receives: code, ErrorInfo, BadRequest, PreconditionFailure. Causes stay in
// the service log.
import { Code, ConnectError } from '@connectrpc/connect'
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  RetryInfoSchema,
} from '#gen/google/rpc/error_details_pb.ts'
import { ModelkeepError, type Precondition, type Reason } from './errors.ts'
import { asModelkeepError } from '../store/faults.ts'
import { DOMAIN } from './read-error.ts'

/** Reasons of transient errors, with the delay after which a retry is worthwhile. */
const RETRY_AFTER_SECONDS: Partial<Record<Reason, bigint>> = {
  OVERLOADED: 1n,
  UPLOAD_BUSY: 1n,
  DEPENDENCY_UNAVAILABLE: 1n,
}

const CODES = {
  FIELD_INVALID: Code.InvalidArgument,
  LIMIT_EXCEEDED: Code.InvalidArgument,
  TOKEN_INVALID: Code.Unauthenticated,
  TOKEN_EXPIRED: Code.Unauthenticated,
  PERMISSION_DENIED: Code.PermissionDenied,
  REQUEST_ID_REUSED: Code.AlreadyExists,
  ETAG_MISMATCH: Code.Aborted,
  CONFLICT: Code.Aborted,
  OVERLOADED: Code.ResourceExhausted,
  DEPENDENCY_UNAVAILABLE: Code.Unavailable,
  INTERNAL: Code.Internal,
  FILTER_TOO_EXPENSIVE: Code.ResourceExhausted,
  NAMESPACE_NOT_FOUND: Code.NotFound,
  NAMESPACE_EXISTS: Code.AlreadyExists,
  NAMESPACE_NOT_EMPTY: Code.FailedPrecondition,
  MODEL_NOT_FOUND: Code.NotFound,
  MODEL_EXISTS: Code.AlreadyExists,
  MODEL_ARCHIVED: Code.FailedPrecondition,
  MODEL_IN_USE: Code.FailedPrecondition,
  VERSION_NOT_FOUND: Code.NotFound,
  VERSION_EXISTS: Code.AlreadyExists,
  SEMVER_EXISTS: Code.AlreadyExists,
  VERSION_IN_USE: Code.FailedPrecondition,
  ALIAS_NOT_FOUND: Code.NotFound,
  ALIAS_MOVED: Code.Aborted,
  TOKEN_NOT_FOUND: Code.NotFound,
  LAST_ADMIN: Code.FailedPrecondition,
  EVALUATION_NOT_FOUND: Code.NotFound,
  GATE_NOT_FOUND: Code.NotFound,
  GATE_EXISTS: Code.AlreadyExists,
  GATE_LIMIT_REACHED: Code.ResourceExhausted,
  ALIAS_GATED: Code.FailedPrecondition,
  GATE_UNMET: Code.FailedPrecondition,
  PROMOTION_NOT_FOUND: Code.NotFound,
  PROMOTION_CLOSED: Code.FailedPrecondition,
  PROMOTION_EXISTS: Code.AlreadyExists,
  APPROVAL_NOT_ALLOWED: Code.FailedPrecondition,
  BLOB_NOT_FOUND: Code.NotFound,
  BLOB_CORRUPT: Code.DataLoss,
  RANGE_INVALID: Code.OutOfRange,
  UPLOAD_NOT_FOUND: Code.NotFound,
  UPLOAD_CLOSED: Code.FailedPrecondition,
  UPLOAD_BUSY: Code.Aborted,
  PARTS_MISSING: Code.FailedPrecondition,
  DIGEST_MISMATCH: Code.InvalidArgument,
  SIZE_MISMATCH: Code.InvalidArgument,
  STREAM_INVALID: Code.InvalidArgument,
  STREAM_IDLE: Code.DeadlineExceeded,
  STORE_FULL: Code.ResourceExhausted,
  UPLOAD_LIMIT_REACHED: Code.ResourceExhausted,
  MANIFEST_NOT_FOUND: Code.NotFound,
  BLOB_MISSING: Code.FailedPrecondition,
  STORE_SHARED: Code.FailedPrecondition,
  DIRECT_LANE_UNAVAILABLE: Code.FailedPrecondition,
  LANE_CLOSED: Code.FailedPrecondition,
  EVENT_NOT_FOUND: Code.NotFound,
  SEQUENCE_GAP: Code.FailedPrecondition,
  EVENT_ALTERED: Code.FailedPrecondition,
  TREE_TOO_LARGE: Code.OutOfRange,
  CHECKPOINT_NOT_FOUND: Code.NotFound,
  EVENT_NOT_PRIVATE: Code.FailedPrecondition,
  EVENT_HELD: Code.FailedPrecondition,
  HOLD_NOT_FOUND: Code.NotFound,
  AUDIT_UNAVAILABLE: Code.Unavailable,
} satisfies Record<Reason, Code>

/** `signal`: the call's signal, which is aborted when the caller leaves or the deadline passes. */
export function toConnectError(error: unknown, signal?: AbortSignal): ConnectError {
  if (signal?.aborted && !(error instanceof ModelkeepError) && !isBadRequest(error, signal)) {
    return asEnded(signal.reason)
  }
  if (error instanceof ConnectError) return isUnreadable(error) ? asBadRequest(error) : error
  if (error instanceof ModelkeepError) return present(error)
  const translated = asModelkeepError(error)
  if (translated) return present(translated)
  return present(
    new ModelkeepError('INTERNAL', 'internal error; the service log has the details under this x-request-id'),
  )
}

/** The codec reports a body that it cannot parse as an internal error. */
function isUnreadable({ code, rawMessage }: ConnectError): boolean {
  return code === Code.Internal && rawMessage.startsWith('parse binary: ')
}

/** Reports a body that cannot be parsed as INVALID_ARGUMENT also where no interceptor sees the error: the library aborts the
 * call with the error of a unary request before it presents that error. */
export function blameSenderOfUnreadable(signal: AbortSignal): void {
  const correct = (): void => {
    const error: unknown = signal.reason
    if (error instanceof ConnectError && isUnreadable(error)) Object.assign(error, { code: Code.InvalidArgument })
  }
  signal.addEventListener('abort', correct, { once: true })
}

function asBadRequest(error: ConnectError): ConnectError {
  return new ConnectError(error.rawMessage, Code.InvalidArgument, undefined, undefined, error)
}

/** A request that cannot be parsed is also aborted at once; the parse error is the one to report. */
function isBadRequest(error: unknown, { reason }: AbortSignal): boolean {
  const isAbort = reason instanceof DOMException && reason.name === 'AbortError'
  return isAbort && error instanceof ConnectError && error.code !== Code.Canceled
}

/** Error codes of Node.js and HTTP/2 for a connection or stream that the peer has closed. */
const GONE = /^(ECANCELED|ECONNRESET|EPIPE|ERR_STREAM_\w+|ERR_HTTP2_\w+)$/
const RESET = 'http/2 stream closed with error code'

/** Reports a caller that left as CANCELED, whatever the transport calls the end of the connection. */
function asEnded(reason: unknown): ConnectError {
  const ended = ConnectError.from(reason, Code.Canceled)
  const codes = [reason, ended.cause].map((error) => (error as { code?: unknown } | undefined)?.code)
  const isGone = ended.rawMessage.startsWith(RESET) || codes.some((code) => typeof code === 'string' && GONE.test(code))
  return isGone ? new ConnectError('caller disconnected', Code.Canceled, undefined, undefined, reason) : ended
}

/** Errors are sent as HTTP trailers, which peers limit to a few KiB, and may quote what a caller sent. */
const MAX_TEXT_BYTES = 1024
const MAX_PRECONDITION_BYTES = 4096

function present(error: ModelkeepError): ConnectError {
  const { reason, violations } = error
  const metadata = Object.fromEntries(Object.entries(error.metadata).map(([name, text]) => [name, shorten(text)]))
  const preconditions = limitPreconditions(error.preconditions)
  const refused = new ConnectError(shorten(error.message), CODES[reason])
  refused.details.push({ desc: ErrorInfoSchema, value: { reason, domain: DOMAIN, metadata } })
  if (violations.length > 0) {
    const fieldViolations = violations.map(({ field, rule }) => ({ field, description: rule, reason }))
    refused.details.push({ desc: BadRequestSchema, value: { fieldViolations } })
  }
  if (preconditions.length > 0) {
    refused.details.push({ desc: PreconditionFailureSchema, value: { violations: preconditions } })
  }
  const seconds = RETRY_AFTER_SECONDS[reason]
  if (seconds) refused.details.push({ desc: RetryInfoSchema, value: { retryDelay: { seconds } } })
  return refused
}

function shorten(text: string): string {
  if (Buffer.byteLength(text) <= MAX_TEXT_BYTES) return text
  const cut = Buffer.from(text)
    .subarray(0, MAX_TEXT_BYTES - 3)
    .toString()
  return `${cut.replace(/\uFFFD$/, '')}…`
}

/** Returns the leading preconditions that fit into the limit. */
function limitPreconditions(preconditions: Precondition[]): Precondition[] {
  let left = MAX_PRECONDITION_BYTES
  const short = preconditions.map(({ type, subject, description }) => ({
    type,
    subject: shorten(subject),
    description: shorten(description),
  }))
  return short.filter(({ type, subject, description }) => {
    left -= Buffer.byteLength(type + subject + description)
    return left >= 0
  })
}
