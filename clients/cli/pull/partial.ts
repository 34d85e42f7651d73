// The partial directory beside the target, in which a pull collects its files.
import { constants } from 'node:fs'
import { chmod, lstat, mkdir, open, readdir, rm, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { foldPath } from '#lib/values/path-tree.ts'
import { CliError } from '../terminal/cli-error.ts'
import { isRunning } from '../settings.ts'

export interface TargetPaths {
  target: string
  /** The partial directory. Its name has the version's digest, so that a repeated pull finds it. */
  partial: string
  lock: string
}

export function targetPaths(directory: string, digest: string): TargetPaths {
  const target = resolve(directory)
  const partial = join(dirname(target), `${basename(target)}.modelkeep-partial-${digest.slice(7, 23)}`)
  return { target, partial, lock: `${partial}.lock` }
}

/** Locks the partial directory against other pulls of the same version. The lock of a dead process is removed. */
export async function lockPartial({ target, lock }: TargetPaths): Promise<AsyncDisposable> {
  await mkdir(dirname(target), { recursive: true })
  for (let attempt = 1; ; attempt += 1) {
    try {
      await using file = await open(lock, 'wx')
      await file.writeFile(String(process.pid))
      return { [Symbol.asyncDispose]: () => rm(lock, { force: true }) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const holder = await readHolder(lock)
    if (attempt > 3 || (holder && isRunning(holder))) {
      const message = `another pull into ${target} is running (process ${holder ?? 'unknown'})`
      throw new CliError('conflict', message, { hint: `If that process no longer exists, remove ${lock}` })
    }
    await rm(lock, { force: true })
  }
}

async function readHolder(lock: string): Promise<number | undefined> {
  try {
    await using file = await open(lock, 'r')
    return Number(await file.readFile('utf8')) || undefined
  } catch {
    return undefined
  }
}

/** Creates the partial directory, or reuses one that an earlier pull of this user left. */
export async function openPartial({ partial }: TargetPaths): Promise<void> {
  await mkdir(partial, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const found = await lstat(partial)
  if (!found.isDirectory() || (process.getuid && found.uid !== process.getuid())) {
    throw new CliError('conflict', `${partial} is not a directory of this user`, {
      hint: 'Remove it and run the command again.',
    })
  }
}

/** Creates the parent directories of a file, and returns its path. Links are not followed. `prepared`: the directories of earlier
 * files, which are not created and checked again. */
export async function preparePath(root: string, path: string, prepared: Set<string>): Promise<string> {
  const target = join(root, path)
  if (prepared.has(dirname(target))) return target
  let directory = root
  for (const segment of path.split('/').slice(0, -1)) {
    directory = join(directory, segment)
    if (prepared.has(directory)) continue
    await mkdir(directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    if (!(await lstat(directory)).isDirectory()) throw new CliError('conflict', `${directory} is not a directory`)
    prepared.add(directory)
  }
  return target
}

/** Opens a file for reading and writing without truncation. A hard link to the cache is removed first. */
export async function openPartialFile(path: string): Promise<FileHandle> {
  const found = await lstat(path).catch(() => undefined)
  if (found && found.nlink > 1) await rm(path)
  const flags = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0)
  return open(path, flags, 0o666)
}

/** Lists all files, links and directories below a directory. Parents come before their children. */
export async function listTree(root: string): Promise<{ files: string[]; directories: string[] }> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  const files: string[] = []
  const directories: string[] = []
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name)
      .slice(root.length + 1)
      .replaceAll('\\', '/')
    if (entry.isDirectory()) directories.push(path)
    else files.push(path)
  }
  return { files, directories }
}

/** Removes files that do not belong to the version, and syncs the directories to disk, children first. */
export async function finishPartial(root: string, paths: string[]): Promise<void> {
  const { files, directories } = await listTree(root)
  const wanted = new Set(paths.map(foldPath))
  for (const file of files) if (!wanted.has(foldPath(file))) await rm(join(root, file), { force: true })
  const needed = directoriesOf(wanted)
  for (const directory of directories.toReversed()) {
    if (needed.has(foldPath(directory))) await syncDirectory(join(root, directory))
    else await rm(join(root, directory), { recursive: true, force: true })
  }
  await chmod(root, 0o777 & ~process.umask())
  await syncDirectory(root)
}

/** Returns the directories above the paths. */
function directoriesOf(paths: Iterable<string>): Set<string> {
  const found = new Set<string>()
  for (const path of paths) {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const directory = path.slice(0, end)
      if (found.has(directory)) break
      found.add(directory)
    }
  }
  return found
}

export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return
  await using handle = await open(directory, 'r')
  await handle.sync()
}
