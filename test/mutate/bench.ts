// A copy of the source tree for faults, with its own Vitest and PostgreSQL.
import { fork, type ChildProcess, type ForkOptions } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startPostgres, type Postgres } from '../../services/standalone/postgres.ts'
import { copyTree, type Copy } from './copy.ts'
import { applyFault, type Fault } from './faults.ts'
import type { Answer, Request } from './runner.ts'

export interface Verdict extends Answer {
  seconds: number
  /** Whether the run exceeded its time limit. */
  hung: boolean
}

export interface BenchOptions {
  /** The tree to copy. */
  tree: string
  /** Whether the tests need a PostgreSQL. */
  database: boolean
}

const RUNNER = join(import.meta.dirname, 'runner.ts')
const SETTINGS = { max_connections: '300', fsync: 'off' }

export class Bench {
  readonly #copy: Copy
  readonly #postgres: Postgres | undefined
  readonly #changed = new Set<string>()
  #runner: ChildProcess | undefined

  private constructor(copy: Copy, postgres: Postgres | undefined) {
    this.#copy = copy
    this.#postgres = postgres
  }

  static async open({ tree, database }: BenchOptions): Promise<Bench> {
    const copy = await copyTree(tree)
    try {
      const directory = join(copy.temporary, 'postgres')
      return new Bench(copy, database ? await startPostgres({ directory, settings: SETTINGS }) : undefined)
    } catch (error) {
      await copy.remove()
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#endRunner()
    await this.#postgres?.stop()
    await this.#copy.remove()
  }

  /** Runs a test file on the unchanged tree. */
  async run(test: string, limitSeconds: number, bail = false): Promise<Verdict> {
    const runner = this.#startedRunner()
    const request: Request = { test, changed: [...this.#changed], bail }
    this.#changed.clear()
    const start = performance.now()
    const answer = await ask(runner, request, limitSeconds * 1000)
    const seconds = (performance.now() - start) / 1000
    if (answer) return { ...answer, seconds, hung: false }
    await this.#endRunner()
    const failure = { name: test, message: `the run had not ended after ${limitSeconds} seconds` }
    return { passed: 0, failure, seconds, hung: true }
  }

  /** Applies a fault, runs a test file until a test fails, and reverts the fault. */
  async try(fault: Fault, test: string, limitSeconds: number): Promise<Verdict> {
    const path = join(this.#copy.root, fault.file)
    const source = await readFile(path, 'utf8')
    if (isForSetUp(fault)) await this.#endRunner()
    try {
      await writeFile(path, applyFault(source, fault))
      this.#changed.add(fault.file)
      return await this.run(test, limitSeconds, true)
    } finally {
      await writeFile(path, source)
      this.#changed.add(fault.file)
      if (isForSetUp(fault)) await this.#endRunner()
    }
  }

  #startedRunner(): ChildProcess {
    if (this.#runner?.connected) return this.#runner
    const database = this.#postgres ? { TEST_DATABASE_URL: this.#postgres.url('postgres') } : {}
    const env = { ...process.env, ...database, TMPDIR: this.#copy.temporary }
    // The runner has its own process group, so that all of its processes can be killed.
    const options: ForkOptions = {
      cwd: this.#copy.root,
      env,
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    }
    this.#runner = fork(RUNNER, options)
    this.#changed.clear()
    return this.#runner
  }

  async #endRunner(): Promise<void> {
    const runner = this.#runner
    this.#runner = undefined
    if (!runner) return
    const ended = hasEnded(runner) ? undefined : once(runner, 'exit')
    killGroup(runner.pid!)
    await ended
  }
}

/** Whether the fault affects code that the global set-up runs, so that the runner must start again. */
function isForSetUp({ file }: Fault): boolean {
  return file.includes('/migrations/') || file === 'services/migrate.ts'
}

/** Returns undefined if no answer arrives in time. */
async function ask(runner: ChildProcess, request: Request, limitMs: number): Promise<Answer | undefined> {
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(), limitMs)
  const answered = once(runner, 'message', over).then(([answer]) => answer as Answer)
  const ended = once(runner, 'exit', over).then(([code, signal]: unknown[]) => {
    const message = `the test runner ended with ${String(code ?? signal)}`
    return { passed: 0, failure: { name: request.test, message } }
  })
  runner.send(request)
  try {
    return await Promise.race([answered, ended])
  } catch (error) {
    if (over.signal.aborted) return undefined
    throw error
  } finally {
    clearTimeout(timer)
    over.abort()
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // The group has exited.
  }
}
