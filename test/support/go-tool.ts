// A program built by `go install`: from the PATH, from the cache, or made now, once.
import { execFile } from 'node:child_process'
import { access, constants, mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** The first build of a large program on two cores. */
const BUILD_MS = 20 * 60_000

/** The program's path. Throws where it neither is nor can be made: a test that needs it must not pass without it. */
export async function goTool(name: string, module: string): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'modelkeep', 'bin')
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), cache]) {
    if (await isExecutable(join(folder, name))) return join(folder, name)
  }
  await mkdir(cache, { recursive: true })
  await run('go', ['install', module], { env: { ...process.env, GOBIN: cache }, timeout: BUILD_MS }).catch(
    (error: unknown) => {
      throw new Error(`this test needs ${name}: put it on the PATH, or Go, so that it can be built from ${module}`, {
        cause: error,
      })
    },
  )
  return join(cache, name)
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
