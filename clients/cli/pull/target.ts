// The target directory of a pull: inspected before the download, and put in place with one rename after it.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { foldPath } from '#lib/values/path-tree.ts'
import { CliError } from '../terminal/cli-error.ts'
import type { RemoteFile } from './manifest.ts'
import { listTree, syncDirectory, type TargetPaths } from './partial.ts'

export type TargetState = 'free' | 'same' | 'other'

/** Returns whether the target is free, holds exactly these files, or holds other files. */
export async function inspectTarget(target: string, files: RemoteFile[]): Promise<TargetState> {
  const found = await lstat(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (!found) return 'free'
  if (!found.isDirectory()) throw new CliError('conflict', `${target} is not a directory`)
  if ((await readdir(target)).length === 0) return 'free'
  return (await holdsExactly(target, files)) ? 'same' : 'other'
}

async function holdsExactly(target: string, files: RemoteFile[]): Promise<boolean> {
  const present = (await listTree(target)).files
  const wanted = new Set(files.map(({ path }) => foldPath(path)))
  if (present.length !== wanted.size || !present.every((path) => wanted.has(foldPath(path)))) return false
  for (const { path, size, digest } of files) {
    const found = await lstat(join(target, path))
    if (!found.isFile() || found.size !== size) return false
    const hash = createHash('sha256')
    for await (const chunk of createReadStream(join(target, path))) hash.update(chunk as Buffer)
    if (`sha256:${hash.digest('hex')}` !== digest) return false
  }
  return true
}

export function failOccupied(target: string): never {
  const hint = 'Choose another directory, or replace its contents with --force.'
  throw new CliError('conflict', `${target} is not empty and does not hold this version`, {
    hint,
    reason: 'CLI_TARGET_NOT_EMPTY',
  })
}

/** Puts the version in place with one rename. With `force`, the old directory is moved aside first and removed last. */
export async function putInPlace({ target, partial }: TargetPaths, force: boolean): Promise<void> {
  const aside = `${partial}-old`
  if (force) {
    await rm(aside, { recursive: true, force: true })
    await rename(target, aside).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
  }
  try {
    await rename(partial, target)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (force) await rename(aside, target).catch(() => {})
    if (code === 'ENOTEMPTY' || code === 'EEXIST') failOccupied(target)
    throw error
  }
  await syncDirectory(dirname(target))
  await rm(aside, { recursive: true, force: true })
}
