// Translation of database errors to `ModelkeepError`s. Errors that are not listed are reported as INTERNAL.
import { ModelkeepError } from '../errors/errors.ts'

/** SQLSTATEs after which the same transaction may succeed: serialization failure, deadlock, lock not available. */
const RETRYABLE = ['40001', '40P01', '55P03']

/** SQLSTATEs of a lost or refused connection, of a server that starts or stops, and of too many connections. */
const UNAVAILABLE = ['08000', '08001', '08003', '08004', '08006', '57P01', '57P02', '57P03', '53300']
const UNREACHABLE = ['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN']

/** SQLSTATEs of a full disk and of exhausted memory. */
const EXHAUSTED = ['53100', '53200']

/** Messages of driver errors without a code, when a connection breaks or none is available in time. */
const LOST_CONNECTION =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Cannot use a pool after calling end)/

/** SQLSTATE of a canceled statement. A caller who leaves gets no answer, so that an answer has one that exceeded its time
 * limit. */
const CANCELED = '57014'

export function exceededTimeLimit(error: unknown): boolean {
  return codeOf(error) === CANCELED
}

export function translateFault(error: unknown): never {
  throw asModelkeepError(error) ?? error
}

/** Returns undefined for errors that are not listed. */
export function asModelkeepError(error: unknown): ModelkeepError | undefined {
  if (isCopyOfOverloaded(error)) return new ModelkeepError('OVERLOADED', error.message)
  const code = codeOf(error)
  if (RETRYABLE.includes(code)) {
    return new ModelkeepError('CONFLICT', 'transaction conflict; retry', {}, [], { cause: error })
  }
  if (exceededTimeLimit(error)) {
    const metadata = { dependency: 'database' }
    const message = 'database exceeded the time limit of a statement; retry'
    return new ModelkeepError('DEPENDENCY_UNAVAILABLE', message, metadata, [], { cause: error })
  }
  if (UNAVAILABLE.includes(code) || UNREACHABLE.includes(code) || EXHAUSTED.includes(code) || isLostConnection(error)) {
    const metadata = { dependency: 'database' }
    return new ModelkeepError('DEPENDENCY_UNAVAILABLE', 'database is unavailable; retry', metadata, [], {
      cause: error,
    })
  }
  return undefined
}

/** SQLSTATEs of an invalid authorization, a wrong password and an unknown database. */
const LOCKED_OUT = ['28000', '28P01', '3D000']

/** Describes an unavailable database in one line, for an operator at a terminal; undefined for other errors. */
export function describeUnavailable(error: unknown): string | undefined {
  const known = error instanceof ModelkeepError ? error : asModelkeepError(error)
  const cause = known ? known.cause : error
  const isAbsent = known?.reason === 'DEPENDENCY_UNAVAILABLE' && known.metadata['dependency'] === 'database'
  if (!isAbsent && !LOCKED_OUT.includes(codeOf(cause))) return undefined
  const [why] = cause instanceof Error ? cause.message.split('\n') : []
  return `database is unavailable: ${why || codeOf(cause)}`
}

/** SQLSTATEs of violated foreign keys and unique constraints. */
const VIOLATIONS = ['23503', '23505']

/** Returns the name of the violated unique constraint or foreign key; undefined for other errors. */
export function violatedConstraint(error: unknown): string | undefined {
  if (!VIOLATIONS.includes(codeOf(error))) return undefined
  return (error as { constraint?: string }).constraint
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : ''
}

/** MikroORM copies the error of a pool with too many calls in line into one of its own. */
function isCopyOfOverloaded(error: unknown): error is Error {
  return (
    error instanceof Error && error.name === 'DriverException' && 'reason' in error && error.reason === 'OVERLOADED'
  )
}

function isLostConnection(error: unknown): boolean {
  return error instanceof Error && LOST_CONNECTION.test(error.message)
}
