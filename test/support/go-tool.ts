// A program that `go install` builds: taken from the PATH or the cache, and otherwise built once.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, constants, mkdir, readdir, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** A timeout long enough for the first build of a large program on two cores. */
const BUILD_MS = 20 * 60_000
const CACHE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'modelkeep', 'bin')

/** Returns the path of the program. Throws if it is not installed and cannot be built, so that no test passes without it. */
export async function goTool(name: string, module: string): Promise<string> {
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), CACHE]) {
    if (await isExecutable(join(folder, name))) return join(folder, name)
  }
  await mkdir(CACHE, { recursive: true })
  await run('go', ['install', module], { env: { ...process.env, GOBIN: CACHE }, timeout: BUILD_MS }).catch(
    (error: unknown) => {
      throw new Error(`this test needs ${name}: put it on the PATH, or Go, so that it can be built from ${module}`, {
        cause: error,
      })
    },
  )
  return join(CACHE, name)
}

/** Builds the program in a folder beside this file. Returns undefined if Go is not installed. */
export async function goProgram(name: string): Promise<string | undefined> {
  const source = fileURLToPath(new URL(name, import.meta.url))
  const parts = await Promise.all((await readdir(source)).toSorted().map((file) => readFile(join(source, file))))
  const version = createHash('sha256').update(Buffer.concat(parts)).digest('hex').slice(0, 12)
  const program = join(CACHE, `${name}-${version}`)
  if (await isExecutable(program)) return program
  const hasGo = await run('go', ['version']).then(
    () => true,
    () => false,
  )
  if (!hasGo) return undefined
  await mkdir(CACHE, { recursive: true })
  await run('go', ['build', '-o', program, '.'], { cwd: source, timeout: BUILD_MS })
  return program
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
