// The error of the verifier: a message, a hint and the exit code of the program.

/** Exit codes, which `modelkeep` shares. */
export const EXIT = { usage: 2, unavailable: 6, integrity: 7, policy: 8 } as const

export type ExitName = keyof typeof EXIT

export class VerifierError extends Error {
  override name = 'VerifierError'
  readonly exit: ExitName
  /** The next step to try: a whole sentence or a command. */
  readonly hint: string | undefined
  /** A machine-readable reason, such as `TAMPERED`. */
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
