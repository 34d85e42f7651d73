// The errors of the command itself.

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

export class CliError extends Error {
  override name = 'CliError'
  readonly exit: ExitName
  /** The next step to try: a whole sentence or a command. */
  readonly hint: string | undefined
  /** A machine-readable reason that begins with `CLI_`, or the reason of a service. */
  readonly reason: string

  constructor(exit: ExitName, message: string, options: ErrorOptions & { hint?: string; reason?: string } = {}) {
    super(message, options)
    this.exit = exit
    this.hint = options.hint
    this.reason = options.reason ?? `CLI_${exit.toUpperCase()}`
  }
}

export function failUsage(message: string, hint?: string): never {
  throw new CliError('usage', message, hint === undefined ? {} : { hint })
}
