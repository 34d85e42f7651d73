// The errors of the command itself.
import { ExitError } from '../../verifier/exit-error.ts'

/** Exit codes. They are documented in `modelkeep --help`, and never change. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  denied: 4,
  conflict: 5,
  unavailable: 6,
  integrity: 7,
  policy: 8,
  interrupted: 130,
} as const

export type ExitName = keyof typeof EXIT

export class CliError extends ExitError<ExitName> {
  override name = 'CliError'
}

export function failUsage(message: string, hint?: string): never {
  throw new CliError('usage', message, hint === undefined ? {} : { hint })
}
