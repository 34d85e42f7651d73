// What the git work tree around a file says about where it was made.
import { execFile } from 'node:child_process'
import { realpath, stat } from 'node:fs/promises'
import { dirname, relative, sep } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** The work tree may be anybody's: none of its settings may start programs. */
const HARMLESS = ['-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null']

export interface GitSource {
  repository: string
  commit: string
  path: string
  dirty: boolean
}

/** Undefined outside of a work tree, without git, or below `node_modules`, which the commit around does not describe. */
export async function findGitSource(path: string): Promise<GitSource | undefined> {
  const real = await realpath(path)
  if (real.split(sep).includes('node_modules')) return undefined
  const directory = (await stat(real)).isDirectory() ? real : dirname(real)
  const git = async (...args: string[]): Promise<string> => {
    const { stdout } = await run('git', ['-C', directory, ...HARMLESS, ...args], { timeout: 10_000 })
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

/** Remotes with a token in them are common; it is nobody's business. */
export function withoutPassword(url: string): string {
  if (!URL.canParse(url)) return url
  const parsed = new URL(url)
  if (parsed.username === '' && parsed.password === '') return url
  if (parsed.protocol === 'ssh:') parsed.password = ''
  else parsed.username = parsed.password = ''
  return parsed.href
}
