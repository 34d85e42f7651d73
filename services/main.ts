// `npm run service -- metadata|artifact|audit|witness`: runs one service, configured by the environment.
import { ConfigError, processEnvironment, type Environment } from '#lib/process/env.ts'
import { SERVICE_NAMES } from '#lib/process/settings.ts'
import { describeUnavailable } from '#lib/store/faults.ts'

type Run = (environment: Environment) => Promise<void>

const NAMES = [...SERVICE_NAMES, 'witness'] as const

/** Each service loads only its own modules. */
const LOAD: Record<(typeof NAMES)[number], () => Promise<Run>> = {
  metadata: async () => (await import('./metadata/main.ts')).runMetadata,
  artifact: async () => (await import('./artifact/main.ts')).runArtifact,
  audit: async () => (await import('./audit/main.ts')).runAudit,
  witness: async () => (await import('./witness/main.ts')).runWitness,
}

const USAGE = `usage: npm run service -- ${NAMES.join('|')}`

async function main(args: string[]): Promise<number> {
  if (args[0] === '--help' || args[0] === '-h') {
    console.log(USAGE)
    return 0
  }
  const name = NAMES.find((known) => args.length === 1 && known === args[0])
  if (!name) {
    console.error(USAGE)
    return 2
  }
  try {
    const run = await LOAD[name]()
    await run(processEnvironment())
    return 0
  } catch (error) {
    console.error(error instanceof ConfigError ? `${name}: ${error.message}` : explain(name, error))
    return 1
  }
}

function explain(name: string, error: unknown): unknown {
  const unavailable = describeUnavailable(error)
  if (unavailable !== undefined) return `${name}: ${unavailable}`
  const { code, address, port } = error as { code?: string; address?: string; port?: number }
  return code === 'EADDRINUSE' ? `${name}: address ${address}:${port} is in use; set PORT to another` : error
}

// Resources opened by a failed start would keep the process alive.
process.exit(await main(process.argv.slice(2)))
