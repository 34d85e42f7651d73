// The directory and the size limit of the cache.
import { lstat, mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { failUsage } from '../terminal/cli-error.ts'
import type { Environment } from '../settings.ts'
import { Cache } from './cache.ts'

const DEFAULT_SIZE = '20GiB'
const UNITS: Record<string, number> = { '': 1, B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 }

export interface CacheOptions {
  /** False with `--no-cache`. */
  cache?: boolean
  cacheSize?: string
}

/** Returns the directory of the cache, below the user's cache directory. */
export function cacheRoot(env: Environment): string {
  const base = env['MODELKEEP_CACHE_DIR'] || join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'modelkeep')
  return join(resolve(base), 'blobs')
}

/** Returns the size limit in bytes; 0 disables the cache. Throws CliError. */
export function cacheSize(options: CacheOptions, env: Environment): number {
  if (options.cache === false) return 0
  const text = options.cacheSize ?? (env['MODELKEEP_CACHE_SIZE'] || DEFAULT_SIZE)
  const [, count = '', unit = ''] = /^(\d+(?:\.\d+)?) ?(B|KiB|MiB|GiB|TiB)?$/.exec(text) ?? []
  if (count === '') failUsage(`cache size "${text}" is invalid; write it like 20GiB, or 0 for no cache`)
  return Math.floor(Number(count) * UNITS[unit]!)
}

/** Returns undefined if the cache is disabled or its directory is unsafe. */
export async function openCache(
  options: CacheOptions,
  env: Environment,
  note: (text: string) => void,
): Promise<Cache | undefined> {
  const maxBytes = cacheSize(options, env)
  if (maxBytes === 0) return undefined
  const root = cacheRoot(env)
  const problem = await findProblem(root)
  if (!problem) return new Cache(root, maxBytes)
  note(`Cache ${root} is not used: ${problem}. Choose another with MODELKEEP_CACHE_DIR, or pass --no-cache.`)
  return undefined
}

/** Returns why the directory is unsafe: other users who can write to it could change pulled files. */
export async function findProblem(root: string): Promise<string | undefined> {
  try {
    await mkdir(root, { recursive: true, mode: 0o700 })
    const found = await lstat(root)
    if (!found.isDirectory()) return 'not a directory'
    if (process.getuid && found.uid !== process.getuid()) return 'owned by another user'
    if (process.platform !== 'win32' && (found.mode & 0o022) !== 0) return 'writable by other users'
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}
