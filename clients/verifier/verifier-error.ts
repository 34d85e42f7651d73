// The error of the verifier: a message, a hint and the exit code of the program.

import { ExitError } from './exit-error.ts'

/** Exit codes, which `modelkeep` shares. */
export const EXIT = { usage: 2, unavailable: 6, integrity: 7, policy: 8 } as const

export type ExitName = keyof typeof EXIT

export class VerifierError extends ExitError<ExitName> {
  override name = 'VerifierError'
}

export function failUsage(message: string, hint?: string): never {
  throw new VerifierError('usage', message, hint === undefined ? {} : { hint })
}
