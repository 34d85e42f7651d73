// The data directory, and the lock that one process at a time holds on it.
import { execFileSync } from 'node:child_process'
import { chmodSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from '#lib/process/env.ts'

export interface DataDirectory {
  /** File of the first administrator's token, readable by this user only. */
  adminToken: string
  /** File of the private key that signs checkpoints, readable by this user only. */
  auditKey: string
  /** File of the public key that verifies checkpoints. */
  auditVkey: string
  /** File of the last signed checkpoint, outside the database, so that a restored backup is detected. */
  auditCheckpoint: string
  /** Directory of the stored bytes. */
  objects: string
  /** Directory of the PostgreSQL cluster. */
  postgres: string
  /** Writes the address of the server for clients on this machine. */
  writeAddress(address: string): void
  /** Releases the directory. Further calls do nothing. */
  release(): void
}

/** The process that holds the lock. Its start time distinguishes it from a later process with the same id. */
interface Owner {
  pid: number
  started: string
}

/** Creates the directory where there is none, and locks it. Throws ConfigError while another process holds the lock. */
export function openDataDirectory(path: string): DataDirectory {
  const lock = join(path, 'lock')
  const server = join(path, 'server.json')
  const objects = join(path, 'objects')
  try {
    // PostgreSQL does not run as root and must be able to traverse the directory.
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
    writeAddress: (address) => replaceFile(server, `${JSON.stringify({ address, pid: process.pid })}\n`, 0o644),
    release() {
      rmSync(server, { force: true })
      if (isMine(lock)) rmSync(lock, { force: true })
    },
  }
}

/** Replaces a file atomically. */
export function replaceFile(path: string, text: string, mode: number): void {
  const fresh = `${path}.${process.pid}`
  rmSync(fresh, { force: true })
  writeFileSync(fresh, text, { mode, flag: 'wx', flush: true })
  renameSync(fresh, path)
}

function takeLock(lock: string, directory: string): void {
  const fresh = `${lock}.${process.pid}`
  replaceFile(fresh, JSON.stringify({ pid: process.pid, started: startOf(process.pid) } satisfies Owner), 0o644)
  try {
    for (let attempt = 1; !tryLink(fresh, lock); attempt += 1) {
      const owner = readOwner(lock)
      if (attempt > 5 || (owner && startOf(owner.pid) === owner.started)) {
        const holder = owner ? `process ${owner.pid}` : 'another process'
        throw new ConfigError([
          `data directory ${directory} is in use by ${holder}; stop it, or choose another directory with --data`,
        ])
      }
      // The lock is a leftover of a killed process.
      rmSync(lock, { force: true })
    }
  } finally {
    rmSync(fresh, { force: true })
  }
}

/** Returns false where the lock exists: a link, unlike a rename, never replaces a file. */
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

/** Returns the start time of a process in the format of the system; empty for no process. */
function startOf(pid: number): string {
  try {
    if (process.platform !== 'linux')
      return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)])
        .toString()
        .trim()
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The third field follows the name, which is in parentheses and may contain anything; the start time is the 22nd.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
