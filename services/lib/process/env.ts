// Typed reading of environment variables. A reader collects all problems, so that one error reports them together.

export type Environment = Readonly<Record<string, string | undefined>>

export class ConfigError extends Error {
  override name = 'ConfigError'
  readonly problems: string[]

  constructor(problems: string[]) {
    super(`environment is invalid:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

export class EnvReader {
  readonly #environment: Environment
  readonly #problems: string[] = []

  constructor(environment: Environment) {
    this.#environment = environment
  }

  /** Throws a `ConfigError` with all problems found so far; call it last. */
  check(): void {
    if (this.#problems.length > 0) throw new ConfigError(this.#problems)
  }

  problem(text: string): void {
    this.#problems.push(text)
  }

  /** Reads a string, which is required unless there is a `fallback`. */
  string(name: string, fallback?: string): string {
    const value = this.#environment[name]
    if (value !== undefined && value !== '') return value
    if (fallback === undefined) this.problem(`${name} is missing`)
    return fallback ?? ''
  }

  /** Like `string`, but also reads the file that `NAME_FILE` names, as for container secrets. */
  secret(name: string, read: (path: string) => string, fallback?: string): string {
    const file = this.#environment[`${name}_FILE`]
    if (!file) return this.string(name, fallback)
    try {
      const value = read(file).trim()
      if (value === '') this.problem(`${name}_FILE is empty`)
      return value
    } catch {
      this.problem(`${name}_FILE cannot be read`)
      return ''
    }
  }

  integer(name: string, fallback: number, range: { min: number; max: number }): number {
    const text = this.string(name, String(fallback))
    const value = Number(text)
    if (/^-?\d+$/.test(text) && value >= range.min && value <= range.max) return value
    this.problem(`${name} must be a whole number from ${range.min} to ${range.max}`)
    return fallback
  }

  boolean(name: string, fallback: boolean): boolean {
    const text = this.string(name, String(fallback))
    if (text === 'true' || text === 'false') return text === 'true'
    this.problem(`${name} must be true or false`)
    return fallback
  }

  oneOf<const T extends string>(name: string, values: readonly T[], fallback: T): T {
    const text = this.string(name, fallback)
    const found = values.find((value) => value === text)
    if (found === undefined) this.problem(`${name} must be one of ${values.join(', ')}`)
    return found ?? fallback
  }

  /** Reads an absolute URL with one of the given schemes, for example `['http', 'https']`. */
  url(name: string, schemes: string[], fallback?: string): string {
    const text = this.string(name, fallback)
    if (text === '') return text
    const scheme = URL.canParse(text) ? new URL(text).protocol.slice(0, -1) : ''
    if (!schemes.includes(scheme)) this.problem(`${name} must be a URL that begins with ${schemes.join(':// or ')}://`)
    return text
  }
}

/** Returns the environment of the process. No other code reads it. */
export function processEnvironment(): Environment {
  return process.env
}
