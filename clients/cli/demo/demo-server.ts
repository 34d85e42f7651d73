// The server of the demo: the one that is running, or a new one in a temporary directory.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CliError } from '../terminal/cli-error.ts'
import { environment, readSettings, type Environment } from '../settings.ts'

const REPOSITORY = join(import.meta.dirname, '..', '..', '..')
const START_TIMEOUT_MS = 60_000

export interface DemoServer {
  environment: NodeJS.ProcessEnv
  /** The line that the demo prints about the server. */
  intro: string
  stop: () => Promise<void>
}

export async function startDemoServer(directory: string): Promise<DemoServer> {
  const running = findRunning()
  if (running) {
    const intro = `This demo uses the Modelkeep server at ${running}, and leaves its model there.`
    return { environment: { ...environment() }, intro, stop: async () => {} }
  }
  return startOwn(directory)
}

function findRunning(): string | undefined {
  try {
    return readSettings({}, environment()).addresses.metadata
  } catch (error) {
    // No server is configured. An invalid setting is reported instead of ignored.
    if (error instanceof CliError && error.exit === 'unavailable') return undefined
    throw error
  }
}

async function startOwn(directory: string): Promise<DemoServer> {
  // PostgreSQL runs as another user if root starts it, and must be able to reach its data.
  await chmod(directory, 0o755)
  const data = join(directory, 'data')
  const settings: Environment = { ...environment(), MODELKEEP_DATA: data }
  const args = [join('services', 'standalone', 'main.ts'), '--data', data, '--port', '0']
  const child = spawn(process.execPath, args, {
    cwd: REPOSITORY,
    env: { ...settings },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = once(child, 'exit')
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
  }
  for (const end = Date.now() + START_TIMEOUT_MS; !existsSync(join(data, 'server.json')); await sleep(50)) {
    if (child.exitCode !== null) throw new Error(`the server did not start:\n${stderr}`)
    if (Date.now() > end) {
      await stop()
      throw new Error(`the server did not start within a minute:\n${stderr}`)
    }
  }
  const { addresses } = readSettings({}, settings)
  const intro = `Started a Modelkeep server of its own at ${addresses.metadata}, in ${data}.`
  return { environment: { ...settings }, intro, stop }
}
