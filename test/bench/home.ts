// The directory for the servers of a benchmark. It is removed at the end, even after an interrupt.
import { globSync, readFileSync, rmSync } from 'node:fs'
import { chmod, mkdtemp } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'

/** Creates the directory. Each cluster gets a subdirectory. */
export async function makeHome(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'modelkeep-bench-'))
  await chmod(directory, 0o755)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      process.once('exit', () => destroy(directory))
      process.exit(128 + constants.signals[signal])
    })
  }
  return directory
}

const WAITS = 200

/** Stops the clusters immediately, without a checkpoint. */
function destroy(directory: string): void {
  const running = (): string[] => globSync(join(directory, '*', 'data', 'postmaster.pid'))
  for (const file of running()) {
    try {
      process.kill(Number(readFileSync(file, 'utf8').split('\n')[0]), 'SIGQUIT')
    } catch {
      // The process has exited.
    }
  }
  for (let waited = 0; running().length > 0 && waited < WAITS; waited += 1) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
  }
  rmSync(directory, { recursive: true, force: true, maxRetries: 10 })
}
