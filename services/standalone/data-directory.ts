// The one directory that keeps everything, and the lock that one process holds on it.
import { execFileSync } from 'node:child_process'
import { chmodSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from '#lib/process/env.ts'

export interface DataDirectory {
  /** The secret of the first administrator, for this user's eyes only. */
  adminToken: string
  /** Signs the log's checkpoints, for this user's eyes only. */
  auditKey: string
  /** Its public half, for whoever checks them. */
  auditVkey: string
  /** The last signed checkpoint, outside the database, so that a restored one is noticed. */
  auditCheckpoint: string
  /** Where the bytes lie. */
  objects: string
  /** Where PostgreSQL's cluster lies. */
  postgres: string
  /** Tells clients on this machine where the server is. */
  announce(address: string): void
  /** Lets go of the directory; may be called again. */
  release(): void
}

/** A process of this machine. Its id alone may by now be another's. */
interface Owner {
  pid: number
  started: string
}

/** Makes the directory where there is none, and takes it. Throws a ConfigError while another process has it. */
export function openDataDirectory(path: string): DataDirectory {
  const lock = join(path, 'lock')
  const server = join(path, 'server.json')
  const objects = join(path, 'objects')
  try {
    // PostgreSQL, which does not run as root, must be able to pass.
    const mode = process.getuid?.() === 0 ? 0o711 : 0o700
    if (mkdirSync(path, { recursive: true }) !== undefined) chmodSync(path, mode)
    takeLock(lock, path)
    rmSync(server, { force: true })
    mkdirSync(objects, { recursive: true, mode: 0o700 })
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw new ConfigError([
      `data directory ${path} cannot be used (${(error as Error).message}); choose another with --data`,
    ])
  }
  return {
    adminToken: join(path, 'admin-token'),
    auditKey: join(path, 'audit.key'),
    auditVkey: join(path, 'audit.vkey'),
    auditCheckpoint: join(path, 'audit.checkpoint'),
    objects,
    postgres: join(path, 'postgres'),
    announce: (address) => writeWhole(server, `${JSON.stringify({ address, pid: process.pid })}\n`, 0o644),
    release() {
      rmSync(server, { force: true })
      if (isMine(lock)) rmSync(lock, { force: true })
    },
  }
}

/** Writes a file that is there as a whole or not at all. */
export function writeWhole(path: string, text: string, mode: number): void {
  const fresh = `${path}.${process.pid}`
  rmSync(fresh, { force: true })
  writeFileSync(fresh, text, { mode, flag: 'wx', flush: true })
  renameSync(fresh, path)
}

function takeLock(lock: string, directory: string): void {
  const fresh = `${lock}.${process.pid}`
  writeWhole(fresh, JSON.stringify({ pid: process.pid, started: startOf(process.pid) } satisfies Owner), 0o644)
  try {
    for (let attempt = 1; !tryLink(fresh, lock); attempt += 1) {
      const owner = readOwner(lock)
      if (attempt > 5 || (owner && startOf(owner.pid) === owner.started)) {
        const holder = owner ? `process ${owner.pid}` : 'another process'
        throw new ConfigError([
          `data directory ${directory} is in use by ${holder}; stop it, or choose another directory with --data`,
        ])
      }
      // Left over by a process that was killed.
      rmSync(lock, { force: true })
    }
  } finally {
    rmSync(fresh, { force: true })
  }
}

/** A link, unlike a rename, never replaces what is there. */
function tryLink(fresh: string, lock: string): boolean {
  try {
    linkSync(fresh, lock)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function isMine(lock: string): boolean {
  return readOwner(lock)?.pid === process.pid
}

function readOwner(lock: string): Owner | undefined {
  try {
    return JSON.parse(readFileSync(lock, 'utf8')) as Owner
  } catch {
    return undefined
  }
}

/** When a process began, in the system's own words; empty when there is none. */
function startOf(pid: number): string {
  try {
    if (process.platform !== 'linux')
      return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)])
        .toString()
        .trim()
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // After the name in parentheses, which may hold anything, comes the third field; the start is the 22nd.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
