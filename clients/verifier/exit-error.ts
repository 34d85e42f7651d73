/** An error that ends a program with an exit code: the base of the errors of the verifier and of the command. */
export class ExitError<Exit extends string> extends Error {
  readonly exit: Exit
  /** The next step to try: a whole sentence or a command. */
  readonly hint: string | undefined
  /** A machine-readable reason: of the error itself, such as `TAMPERED`, or of a service; otherwise it begins with `CLI_`. */
  readonly reason: string

  constructor(exit: Exit, message: string, options: ErrorOptions & { hint?: string; reason?: string } = {}) {
    super(message, options)
    this.exit = exit
    this.hint = options.hint
    this.reason = options.reason ?? `CLI_${exit.toUpperCase()}`
  }
}
