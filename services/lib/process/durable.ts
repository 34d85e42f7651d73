// Durable file writes: when a call returns, the whole file is on disk.
import { randomUUID } from 'node:crypto'
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** Writes the file, or replaces it atomically. */
export function writeDurably(path: string, text: string): void {
  const fresh = `${path}.${process.pid}`
  writeFileSync(fresh, text, { mode: 0o600, flush: true })
  renameSync(fresh, path)
  syncDirectory(dirname(path))
}

/** Creates the file and returns true, or returns false if it exists. Of several processes, one succeeds. */
export function createDurably(path: string, text: string): boolean {
  const fresh = `${path}.${randomUUID()}.fresh`
  try {
    writeFileSync(fresh, text, { mode: 0o600, flag: 'wx', flush: true })
    // A link, unlike a rename, never replaces a file.
    linkSync(fresh, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(fresh, { force: true })
  }
  syncDirectory(dirname(path))
  return true
}

/** Creates the directory and its missing parents. */
export function makeDirectoryDurably(path: string): void {
  const first = mkdirSync(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = path; made.length >= first.length; made = dirname(made)) syncDirectory(dirname(made))
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}
