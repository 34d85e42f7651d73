// Times of the database: `timestamptz(6)`, by the database's clock, in UTC. They stay strings until they are presented,
// because a JavaScript `Date` would lose the microseconds.
import { create } from '@bufbuild/protobuf'
import { TimestampSchema, type Timestamp } from '@bufbuild/protobuf/wkt'
import { p, raw } from '@mikro-orm/postgresql'

/** A `timestamptz(6)` column, read and written in PostgreSQL's text format. */
export const timeColumn = () => p.string().columnType('timestamptz(6)').runtimeType('string')

/** A time column that defaults to `now()`, the time of the transaction. */
export const createTimeColumn = () => timeColumn().defaultRaw('now()')

/** The time at which the transaction began, and seconds later, as the value of a property or in a condition. Each value
 * serves one statement. Refresh the entity after the flush to read it. */
export function transactionTime(secondsLater = 0): string {
  return raw<string>('now() + make_interval(secs => ?)', [secondsLater])
}

/** The time at which the statement began, which may be long after its transaction began. Otherwise like
 * `transactionTime`. Everything that one statement writes gets the same time. */
export function statementTime(secondsLater = 0): string {
  return raw<string>('statement_timestamp() + make_interval(secs => ?)', [secondsLater])
}

/** Converts `2026-11-23 04:57:12.595123+00` to a Timestamp. */
export function toTimestamp(text: string): Timestamp {
  const [, whole, fraction] = /^(\d{4,}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/.exec(text) ?? []
  if (whole === undefined) throw new Error(`not a time in UTC: ${text}`)
  const seconds = BigInt(Date.parse(`${whole.replace(' ', 'T')}Z`) / 1000)
  return create(TimestampSchema, { seconds, nanos: Number((fraction ?? '').padEnd(9, '0')) })
}

/** Converts a Timestamp to PostgreSQL's text format; truncates to microseconds. */
export function fromTimestamp(time: Timestamp): string {
  const whole = new Date(Number(time.seconds) * 1000).toISOString().slice(0, 19)
  return `${whole}.${String(Math.floor(time.nanos / 1000)).padStart(6, '0')}Z`
}

/** Converts PostgreSQL's text format to RFC 3339: `2026-11-23T04:57:12.595123Z`. */
export function rfc3339(text: string): string {
  const [whole = '', fraction = ''] = text.replace(' ', 'T').replace('+00', '').split('.')
  return `${whole}.${fraction.padEnd(6, '0')}Z`
}
