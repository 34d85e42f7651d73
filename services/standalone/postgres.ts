// An embedded PostgreSQL server: a child process of the binaries in the npm package.
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, lstat, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { clusterDirectory, reachableBinaries, serverUser, type ServerUser } from './postgres-home.ts'

export interface Postgres {
  /** The server's process id. */
  pid: number
  /** Directory of the cluster. */
  home: string
  /** Returns the URL of a database on this server, as its superuser. */
  url(database: string): string
  /** Fast shutdown: open transactions are rolled back. */
  stop(): Promise<void>
}

export interface PostgresOptions {
  /** Absolute path of the cluster's directory, which is created where it does not exist. */
  directory: string
  /** Extra server settings, for example `{ max_connections: '200' }`. */
  settings?: Record<string, string>
  /** Called with every line that the server logs. */
  onLog?: (line: string) => void
  /** Called when the server ends without `stop`. */
  onCrash?: () => void
}

const SUPERUSER = 'modelkeep'
const READY = /database system is ready to accept connections/

export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const user = await serverUser(options.directory)
  const bin = await reachableBinaries(user)
  const home = await clusterDirectory(options.directory, user)
  const data = join(home, 'data')
  const passwordFile = join(home, 'password')
  if (!(await exists(data))) await createCluster(join(bin, 'initdb'), home, user)
  const password = await readFile(passwordFile, 'utf8')
  await stopLeftover(data)
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort()
    try {
      const child = await launch(join(bin, 'postgres'), data, port, user, options)
      const url = (database: string) => `postgresql://${SUPERUSER}:${password}@127.0.0.1:${port}/${database}`
      const crashed = (): void => options.onCrash?.()
      child.once('exit', crashed)
      const end = (): Promise<void> => stop(child.off('exit', crashed))
      return { pid: child.pid!, home, url, stop: end }
    } catch (error) {
      if (attempt === 5 || !/address already in use/i.test(String(error))) throw error
    }
  }
}

async function createCluster(initdb: string, home: string, user: ServerUser): Promise<void> {
  const fresh = join(home, 'data.new')
  const password = join(home, 'password')
  await rm(fresh, { recursive: true, force: true })
  await mkdir(fresh, { recursive: true, mode: 0o700 })
  await writeFile(password, randomBytes(24).toString('hex'), { mode: 0o600 })
  if (user) {
    for (const path of [fresh, password]) await chown(path, user.uid, user.gid)
  }
  const args = ['-D', fresh, '-U', SUPERUSER, `--pwfile=${password}`, '--auth=scram-sha-256']
  await run(initdb, [...args, '--encoding=UTF8', '--locale=C', '--no-instructions'], user)
  await rename(fresh, join(home, 'data'))
}

/** Stops a server that still holds the cluster because its parent process was killed. */
async function stopLeftover(data: string): Promise<void> {
  const lock = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number(lock.split('\n')[0])
  if (!pid || !(await isPostgres(pid))) return
  process.kill(pid, 'SIGINT')
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20))
}

async function isPostgres(pid: number): Promise<boolean> {
  if (process.platform !== 'linux') return isAlive(pid)
  return (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim() === 'postgres'
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function launch(
  postgres: string,
  data: string,
  port: number,
  user: ServerUser,
  options: PostgresOptions,
): Promise<ChildProcess> {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: '100',
    log_min_messages: 'warning',
    ...options.settings,
  }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  // The server has its own process group, because Ctrl-C in the terminal must stop the services first.
  const child = spawn(postgres, ['-D', data, ...args], {
    ...user,
    cwd: data,
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const end = (): unknown => child.kill('SIGINT')
  process.once('exit', end)
  child.once('exit', () => process.off('exit', end))
  return new Promise((resolve, reject) => {
    const lines: string[] = []
    createInterface({ input: child.stderr }).on('line', (line) => {
      options.onLog?.(line)
      if (lines.length < 50) lines.push(line)
      if (READY.test(line)) resolve(child)
    })
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`PostgreSQL did not start:\n${lines.join('\n')}`)))
  })
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGINT')
  await exit
}

function run(command: string, args: string[], user: ServerUser): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...user, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] })
    let errors = ''
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    child.once('error', reject)
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${command} failed: ${errors}`))))
  })
}

/** Returns a free port of the loopback address. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Counts a path that cannot be read as existing, so that no cluster is created over it. */
async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  )
}
