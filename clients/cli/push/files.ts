// Finds, checks and hashes the files of a push.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, readdir, realpath, stat } from 'node:fs/promises'
import { basename, join, resolve, sep } from 'node:path'
import { CliError } from '../terminal/cli-error.ts'
import { findDepthProblem, findListProblem } from '../transfer/paths.ts'
import type { Progress } from '../terminal/progress.ts'

const READ_BYTES = 1024 * 1024
const MAX_FILES = 100_000

export interface LocalFile {
  /** The path on this machine. */
  file: string
  /** The path in the version. */
  path: string
  size: number
  /** Changes if the file is changed. */
  fingerprint: string
}

export interface HashedFile extends LocalFile {
  digest: string
}

/** Returns one file, or all files below a directory except `.git`, in the order of their paths. Throws CliError. */
export async function findFiles(path: string): Promise<LocalFile[]> {
  const root = resolve(path)
  const { isDirectory } = await stat(root).then((found) => ({ isDirectory: found.isDirectory() }))
  const files = isDirectory
    ? await walk(await realpath(root), path)
    : [await describe(root, basename(root).normalize('NFC'))]
  if (files.length === 0) throw new CliError('usage', `${path} contains no files`)
  const problem = findListProblem(files.map((file) => file.path))
  if (problem) throw new CliError('usage', problem, { hint: 'Rename the file; this name is not safe on every system.' })
  return files.sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** Describes the files below a directory. `given`: the name of the directory in errors. */
async function walk(root: string, given: string): Promise<LocalFile[]> {
  const files: LocalFile[] = []
  for (const { path, isLink } of await list(root, given)) {
    const file = isLink ? await follow(root, join(root, path)) : join(root, path)
    files.push(await describe(file, path.normalize('NFC')))
  }
  return files
}

interface Entry {
  path: string
  isLink: boolean
}

/** Lists everything below a directory but directories, before the first file is read. */
async function list(root: string, given: string): Promise<Entry[]> {
  const found: Entry[] = []
  const directories = ['']
  for (let below = directories.pop(); below !== undefined; below = directories.pop()) {
    for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
      if (entry.name === '.git') continue
      const path = below === '' ? entry.name : `${below}/${entry.name}`
      if (entry.isDirectory()) directories.push(path)
      else found.push({ path, isLink: entry.isSymbolicLink() })
      if (found.length > MAX_FILES) throw new CliError('usage', `${given} has more than ${MAX_FILES} files`)
    }
  }
  return found
}

/** Returns the target of a link, which must be a file in the directory. */
async function follow(root: string, link: string): Promise<string> {
  const target = await realpath(link).catch(() => undefined)
  if (target === undefined) throw new CliError('usage', `${link} is a broken link`)
  if (!target.startsWith(root + sep)) {
    const hint = 'Copy the directory with its links resolved first: cp -rL <directory> <copy>'
    throw new CliError('usage', `${link} is a link to a target outside the directory`, { hint })
  }
  if ((await stat(target)).isDirectory()) throw new CliError('usage', `${link} is a link to a directory`)
  return target
}

async function describe(file: string, path: string): Promise<LocalFile> {
  const problem = findDepthProblem(path)
  if (problem) throw new CliError('usage', `path "${path}" ${problem}`, { hint: 'Move the file up.' })
  const found = await stat(file)
  if (!found.isFile()) throw new CliError('usage', `${file} is neither a file nor a directory`)
  return { file, path, size: found.size, fingerprint: await fingerprintOf(file) }
}

async function fingerprintOf(file: string): Promise<string> {
  const { size, mtimeNs, ctimeNs, ino } = await lstat(file, { bigint: true })
  return `${size} ${mtimeNs} ${ctimeNs} ${ino}`
}

/** Throws CliError if the file has changed since it was found. */
export async function requireUnchanged({ file, fingerprint }: LocalFile): Promise<void> {
  if ((await fingerprintOf(file).catch(() => '')) === fingerprint) return
  const hint = 'Nothing was registered. Run the command again when the file no longer changes.'
  throw new CliError('failed', `${file} changed while it was being read`, { hint, reason: 'CLI_FILE_CHANGED' })
}

export async function hashFiles(files: LocalFile[], progress: Progress, signal: AbortSignal): Promise<HashedFile[]> {
  const hashed: HashedFile[] = []
  for (const file of files) {
    progress.begin(file.path, file.size)
    const hash = createHash('sha256')
    for await (const chunk of createReadStream(file.file, { highWaterMark: READ_BYTES, signal })) {
      hash.update(chunk as Buffer)
      progress.advance(file.path, (chunk as Buffer).length)
    }
    await requireUnchanged(file)
    progress.end(file.path)
    hashed.push({ ...file, digest: `sha256:${hash.digest('hex')}` })
  }
  return hashed
}
