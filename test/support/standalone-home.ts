// Runs `npm start` in a process and a directory of its own, and commands against it.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, vi } from 'vitest'
import { runCli, type Ended } from './cli.ts'
import { compileCache } from './compile-cache.ts'
import { copyPreparedData } from './prepared-data.ts'

const REPOSITORY = resolve(import.meta.dirname, '..', '..')

export class StandaloneHome {
  /** The directory for the files of a test, which `close` removes. */
  readonly home: string
  readonly #data: string
  #server: ChildProcess | undefined

  private constructor(home: string) {
    this.home = home
    this.#data = join(home, 'data')
  }

  static async open(): Promise<StandaloneHome> {
    const home = await mkdtemp(join(tmpdir(), 'modelkeep-cli-'))
    // PostgreSQL runs as another user if root starts it.
    await chmod(home, 0o755)
    const opened = new StandaloneHome(home)
    await copyPreparedData(opened.#data)
    await opened.start(0)
    return opened
  }

  async start(port: number): Promise<void> {
    const args = ['services/standalone/main.ts', '--data', this.#data, '--port', String(port)]
    const env = { PATH: process.env['PATH'], HOME: this.home, ...compileCache() }
    const server = spawn(process.execPath, args, { cwd: REPOSITORY, env, stdio: 'ignore' })
    this.#server = server
    const announced = async () => JSON.parse(await readFile(join(this.#data, 'server.json'), 'utf8')) as { pid: number }
    await vi.waitFor(async () => expect((await announced()).pid).toBe(server.pid), { timeout: 60_000, interval: 50 })
  }

  async stop(): Promise<void> {
    const exit = once(this.#server!, 'exit')
    this.#server!.kill('SIGTERM')
    await exit
  }

  async close(): Promise<void> {
    await this.stop()
    await rm(this.home, { recursive: true, force: true })
  }

  /** The environment of commands that find the server by its data directory. */
  get environment(): Record<string, string> {
    return { MODELKEEP_DATA: this.#data }
  }

  async address(): Promise<string> {
    return (JSON.parse(await readFile(join(this.#data, 'server.json'), 'utf8')) as { address: string }).address
  }

  async token(): Promise<string> {
    return (await readFile(join(this.#data, 'admin-token'), 'utf8')).trim()
  }

  run(...args: string[]): Promise<Ended> {
    return runCli(args, this.environment)
  }

  /** Runs a command that must succeed without output on stderr, and returns its output. */
  async ok(...args: string[]): Promise<string> {
    const { code, out, err } = await this.run(...args)
    expect(err).toBe('')
    expect(code).toBe(0)
    return out
  }

  async json<T = Record<string, unknown>>(...args: string[]): Promise<T> {
    return JSON.parse(await this.ok(...args, '--json')) as T
  }

  async write(name: string, bytes: Buffer): Promise<string> {
    const file = join(this.home, name)
    await writeFile(file, bytes)
    return file
  }
}

/** The output of `push --json` that tests read. */
export interface Pushed {
  version: { id: string; number: number; digest: string; sizeBytes: string }
  created: boolean
  sentBytes: number
  existingBytes: number
}
