// Reads the source of a file from the git work tree around it.
import { execFile } from 'node:child_process'
import { realpath, stat } from 'node:fs/promises'
import { dirname, relative, sep } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** Options that keep the settings of an untrusted work tree from starting programs. */
const SAFE_OPTIONS = ['-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null']

export interface GitSource {
  repository: string
  commit: string
  path: string
  dirty: boolean
}

/** Returns undefined outside of a work tree, without git, and below `node_modules`, which no commit describes. */
export async function findGitSource(path: string): Promise<GitSource | undefined> {
  const real = await realpath(path)
  if (real.split(sep).includes('node_modules')) return undefined
  const directory = (await stat(real)).isDirectory() ? real : dirname(real)
  const git = async (...args: string[]): Promise<string> => {
    const { stdout } = await run('git', ['-C', directory, ...SAFE_OPTIONS, ...args], { timeout: 10_000 })
    return stdout.trim()
  }
  try {
    const [top, commit] = [await git('rev-parse', '--show-toplevel'), await git('rev-parse', 'HEAD')]
    const [repository, changes] = await Promise.all([
      git('config', '--get', 'remote.origin.url').catch(() => ''),
      git('status', '--porcelain', '--untracked-files=no'),
    ])
    return {
      repository: withoutPassword(repository),
      commit,
      path: relative(top, real).split(sep).join('/'),
      dirty: changes !== '',
    }
  } catch {
    return undefined
  }
}

/** Removes credentials from the URL of a remote. */
export function withoutPassword(url: string): string {
  if (!URL.canParse(url)) return url
  const parsed = new URL(url)
  if (parsed.username === '' && parsed.password === '') return url
  if (parsed.protocol === 'ssh:') parsed.password = ''
  else parsed.username = parsed.password = ''
  return parsed.href
}
