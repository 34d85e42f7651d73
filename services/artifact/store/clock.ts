// Times by the database's clock, as values of columns. Replicas need not agree on the time. Each value serves one statement.
import { raw } from '@mikro-orm/postgresql'

/** The start of the transaction. */
export function now(): string {
  return raw<string>('now()')
}

export function secondsFromNow(seconds: number): string {
  return raw<string>('now() + make_interval(secs => ?)', [seconds])
}

export function secondsAgo(seconds: number): string {
  return raw<string>('now() - make_interval(secs => ?)', [seconds])
}

/** Counts from the moment at which the statement runs, which may be long after the start of its transaction. */
export function secondsFromStatement(seconds: number): string {
  return raw<string>('clock_timestamp() + make_interval(secs => ?)', [seconds])
}
