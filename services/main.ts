// `npm run service -- metadata|artifact|audit`: one service as its own process.
import { ConfigError, processEnvironment, type Environment } from '#lib/env.ts'
import { SERVICE_NAMES, type ServiceName } from '#lib/settings.ts'

const RUN: Record<ServiceName, (environment: Environment) => Promise<void>> = {
  metadata: async (environment) => (await import('./metadata/main.ts')).runMetadata(environment),
  artifact: async (environment) => (await import('./artifact/main.ts')).runArtifact(environment),
  audit: async (environment) => (await import('./audit/main.ts')).runAudit(environment),
}

const USAGE_EXIT = 2

const name = SERVICE_NAMES.find((candidate) => candidate === process.argv[2])
if (name === undefined) {
  console.error(`say which service: npm run service -- ${SERVICE_NAMES.join('|')}`)
  process.exitCode = USAGE_EXIT
} else {
  await RUN[name](processEnvironment()).catch((error: unknown) => {
    console.error(error instanceof ConfigError ? `${name}: ${error.message}` : error)
    process.exitCode = 1
  })
}
