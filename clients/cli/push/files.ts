// Finds, checks and hashes the files of a push.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, readdir, realpath, stat } from 'node:fs/promises'
import { basename, join, resolve, sep } from 'node:path'
import { CliError } from '../terminal/cli-error.ts'
import { findListProblem } from '../transfer/paths.ts'
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
    ? await walk(await realpath(root), '')
    : [await describe(root, basename(root).normalize('NFC'))]
  if (files.length === 0) throw new CliError('usage', `${path} contains no files`)
  if (files.length > MAX_FILES) throw new CliError('usage', `${path} has more than ${MAX_FILES} files`)
  const problem = findListProblem(files.map((file) => file.path))
  if (problem) throw new CliError('usage', problem, { hint: 'Rename the file; this name is not safe on every system.' })
  return files.sort((a, b) => (a.path < b.path ? -1 : 1))
}

async function walk(root: string, below: string): Promise<LocalFile[]> {
  const found: LocalFile[] = []
  for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
    if (entry.name === '.git') continue
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    const file = join(root, path)
    if (entry.isDirectory()) found.push(...(await walk(root, path)))
    else if (entry.isSymbolicLink()) found.push(await follow(root, file, path))
    else found.push(await describe(file, path.normalize('NFC')))
  }
  return found
}

/** A link counts as its target, which must be a file in the directory. */
async function follow(root: string, link: string, path: string): Promise<LocalFile> {
  const target = await realpath(link).catch(() => undefined)
  if (target === undefined) throw new CliError('usage', `${link} is a broken link`)
  if (!target.startsWith(root + sep)) {
    const hint = 'Copy the directory with its links resolved first: cp -rL <directory> <copy>'
    throw new CliError('usage', `${link} is a link to a target outside the directory`, { hint })
  }
  if ((await stat(target)).isDirectory()) throw new CliError('usage', `${link} is a link to a directory`)
  return describe(target, path.normalize('NFC'))
}

async function describe(file: string, path: string): Promise<LocalFile> {
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
