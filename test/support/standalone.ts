// `npm start` as a child process.
import type { Interceptor } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { expect, vi } from 'vitest'
import { compileCache } from './compile-cache.ts'

export const REPOSITORY = resolve(import.meta.dirname, '..', '..')

/** The processes that are still running. */
export const running = new Set<ChildProcess>()

export interface Started {
  child: ChildProcess
  /** Returns its standard output. */
  said: () => string
  /** Returns its standard error. */
  logged: () => string
  exit: Promise<number | null>
}

export function launch(directory: string, options: { user?: number; args?: string[] } = {}): Started {
  const args = ['services/standalone/main.ts', '--data', directory, ...(options.args ?? ['--port', '0'])]
  const child = spawn(process.execPath, args, {
    cwd: REPOSITORY,
    env: { PATH: process.env['PATH'], HOME: directory, ...compileCache() },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.user === undefined ? {} : { uid: options.user, gid: options.user }),
  })
  running.add(child)
  const texts = { said: '', logged: '' }
  child.stdout.on('data', (chunk: Buffer) => (texts.said += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (texts.logged += chunk.toString()))
  const exit = once(child, 'exit').then(([code]) => {
    running.delete(child)
    return code as number | null
  })
  return { child, said: () => texts.said, logged: () => texts.logged, exit }
}

/** Starts the server, and waits until it serves. */
export async function start(directory: string, options: Parameters<typeof launch>[1] = {}) {
  const started = launch(directory, options)
  const read = async () => JSON.parse(await readFile(join(directory, 'server.json'), 'utf8')) as { address: string }
  await vi.waitFor(
    async () => {
      if (started.child.exitCode !== null) throw new Error(`it ended: ${started.logged()}`)
      expect(await read()).toMatchObject({ pid: started.child.pid })
    },
    { timeout: 60_000, interval: 50 },
  )
  const { address } = await read()
  const token = (await readFile(join(directory, 'admin-token'), 'utf8')).trim()
  const interceptors = [bearer(token)]
  return { ...started, address, token, transport: createGrpcTransport({ baseUrl: address, interceptors }) }
}

export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill(signal)
  await exit
}

export function bearer(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set('authorization', `Bearer ${token}`)
    return next(request)
  }
}

export async function clusterOf(directory: string): Promise<number> {
  return Number((await readFile(join(directory, 'postgres', 'data', 'postmaster.pid'), 'utf8')).split('\n')[0])
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
