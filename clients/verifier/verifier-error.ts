// The one error of the verifier: what is wrong, what to try next, and the exit code of a program that ends with it.

/** The numbers are those of `modelkeep`. */
export const EXIT = { usage: 2, unavailable: 6, integrity: 7, policy: 8 } as const

export type ExitName = keyof typeof EXIT

export class VerifierError extends Error {
  override name = 'VerifierError'
  readonly exit: ExitName
  /** The next thing to try, as a whole sentence or a command. */
  readonly hint: string | undefined
  /** The kind of fault for programs, such as `TAMPERED`. */
  readonly reason: string

  constructor(exit: ExitName, message: string, options: ErrorOptions & { hint?: string; reason?: string } = {}) {
    super(message, options)
    this.exit = exit
    this.hint = options.hint
    this.reason = options.reason ?? `CLI_${exit.toUpperCase()}`
  }
}

export function failUsage(message: string, hint?: string): never {
  throw new VerifierError('usage', message, hint === undefined ? {} : { hint })
}
