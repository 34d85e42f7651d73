// Users of the command besides the administrator, each with a role and a token.
import { expect } from 'vitest'
import { runCli, type Ended } from './cli.ts'
import type { StandaloneHome } from './standalone-home.ts'

export class People {
  readonly #address: string
  readonly #tokens = new Map<string, string>()

  private constructor(address: string) {
    this.#address = address
  }

  /** `roles` has the role of each user in the namespace `default`. */
  static async join(server: StandaloneHome, roles: Record<string, string>): Promise<People> {
    const people = new People(await server.address())
    for (const [name, role] of Object.entries(roles)) await people.join(server, name, role)
    return people
  }

  async join(server: StandaloneHome, name: string, role: string): Promise<void> {
    const { secret } = await server.json<{ secret: string }>('token', 'create', name)
    await server.ok('role', 'grant', name, role)
    this.#tokens.set(name, secret)
  }

  run(name: string, ...args: string[]): Promise<Ended> {
    return runCli(args, { MODELKEEP_TOKEN: this.#tokens.get(name)!, MODELKEEP_ADDRESS: this.#address })
  }

  /** Runs a command that must succeed, and returns its output. */
  async ok(name: string, ...args: string[]): Promise<string> {
    const { code, out, err } = await this.run(name, ...args)
    expect(`${code} ${err}`).toMatch(/^0 /)
    return out
  }

  async json<T>(name: string, ...args: string[]): Promise<T> {
    return JSON.parse(await this.ok(name, ...args, '--json')) as T
  }

  /** Pushes two versions as `ci`, the second with the better metric, and points `production` at the first. */
  async pushTwo(server: StandaloneHome, model: string): Promise<void> {
    for (const [index, f1] of [0.91, 0.96].entries()) {
      const file = await server.write(`${model}-${index}.bin`, Buffer.from(`${model} ${index}`))
      await this.ok('ci', 'push', file, model, '--metric', `f1=${f1}`)
    }
    await server.ok('alias', 'set', `${model}@production`, '1')
  }
}
