// Runs the `modelkeep` command in a process of its own, from the bundle of the test run. `suite/standalone.test.ts` and the demo run
// the sources.
import { spawn, type ChildProcess } from 'node:child_process'
import { inject } from 'vitest'

export interface Ended {
  code: number | null
  out: string
  err: string
}

export interface Running {
  process: ChildProcess
  ended: Promise<Ended>
}

export function startCli(args: string[], environment: Record<string, string> = {}, cwd?: string): Running {
  const { PATH, HOME } = process.env
  // The settings of the machine must not affect the test.
  const none = { MODELKEEP_DATA: '/nonexistent', MODELKEEP_CACHE_SIZE: '0' }
  const env = { PATH, HOME, NO_COLOR: '1', ...none, ...environment }
  const child = spawn(process.execPath, [inject('cliBundle'), ...args], { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended: Ended = { code: null, out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (ended.out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (ended.err += text))
  return {
    process: child,
    ended: new Promise((resolve) => child.once('close', (code) => resolve({ ...ended, code }))),
  }
}

export function runCli(args: string[], environment: Record<string, string> = {}, cwd?: string): Promise<Ended> {
  return startCli(args, environment, cwd).ended
}
