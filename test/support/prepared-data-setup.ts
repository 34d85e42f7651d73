// Prepares one data directory of `npm start` with all migrations applied. Tests that are not about the first start copy it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { appendFile, chmod, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { TestProject } from 'vitest/node'
import { compileCache } from './compile-cache.ts'
import { shareResource } from './shared-resource.ts'
import { pollUntil } from './poll.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** A URL that returns the path of the prepared directory as JSON. */
    preparedDataUrl: string
  }
}

const REPOSITORY = resolve(import.meta.dirname, '..', '..')

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const shared = await shareResource(prepare, (data) => data)
  project.provide('preparedDataUrl', shared.address)
  return async () => void (await shared.close())
}

/** Returns the path of the prepared directory. */
async function prepare(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'modelkeep-prepared-'))
  // PostgreSQL runs as another user if root starts it.
  await chmod(home, 0o755)
  const data = join(home, 'data')
  const env = { PATH: process.env['PATH'], HOME: data, ...compileCache() }
  const args = ['services/standalone/main.ts', '--data', data, '--port', '0']
  const server = spawn(process.execPath, args, { cwd: REPOSITORY, env, stdio: ['ignore', 'ignore', 'inherit'] })
  const exit = once(server, 'exit')
  await pollUntil(async () => server.exitCode !== null || existsSync(join(data, 'server.json')))
  server.kill('SIGTERM')
  const [code] = (await exit) as [number | null]
  if (code !== 0) throw new Error(`the server that prepares ${data} ended with ${code}`)
  // The copies are deleted after their tests, so they do not have to reach the disk.
  await appendFile(join(data, 'postgres', 'data', 'postgresql.conf'), 'fsync = off\n')
  return data
}
