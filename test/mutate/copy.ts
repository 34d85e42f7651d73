// A copy of the working tree, so that faults are never applied to the tree itself.
import { execFile } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

export interface Copy {
  root: string
  /** The directory for temporary files of tests, which is removed with the copy. */
  temporary: string
  remove(): Promise<void>
}

/** Copies the tracked and the addable files and the generated code, and links the packages. */
export async function copyTree(from: string): Promise<Copy> {
  const home = await mkdtemp(join(tmpdir(), 'modelkeep-mutate-'))
  const remove = (): Promise<void> => rm(home, { recursive: true, force: true, maxRetries: 10 })
  try {
    // PostgreSQL may run as another user.
    await chmod(home, 0o755)
    const root = join(home, 'tree')
    const temporary = join(home, 'tmp')
    await mkdir(temporary)
    await chmod(temporary, 0o777)
    for (const path of await listFiles(from)) await copyInto(root, from, path)
    await copyInto(root, from, 'gen')
    await symlink(join(from, 'node_modules'), join(root, 'node_modules'))
    return { root, temporary, remove }
  } catch (error) {
    await remove()
    throw error
  }
}

/** Returns the paths that git tracks or could add. */
export async function listFiles(from: string): Promise<string[]> {
  const command = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  const { stdout } = await promisify(execFile)('git', command, { cwd: from, maxBuffer: 2 ** 26 })
  return [...new Set(stdout.split('\0'))].filter((path) => path !== '')
}

async function copyInto(root: string, from: string, path: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true })
  await cp(join(from, path), join(root, path), { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    // A tracked file may be missing in the working tree.
    if (error.code !== 'ENOENT') throw error
  })
}
