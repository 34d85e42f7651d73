// `npm start`: everything in one process, on an embedded PostgreSQL and a directory.
import { ConfigError, processEnvironment } from '#lib/process/env.ts'
import { createLogger } from '#lib/process/log.ts'
import { runUntilSignal, stopSignal, type Service } from '#lib/server/service.ts'
import { prepareAdminToken } from './admin-token.ts'
import { prepareAuditKey } from './audit-key.ts'
import { DEFAULT_DIRECTORY, readStandaloneSettings, USAGE, UsageError, type StandaloneSettings } from './config.ts'
import { openDataDirectory, type DataDirectory } from './data-directory.ts'
import { prepareDatabase } from './database.ts'
import { startPostgres, type Postgres } from './postgres.ts'
import { openStandalone } from './service.ts'

/** Lines of PostgreSQL's log that are printed when it crashes. */
const CRASH_LOG_LINES = 10

export async function runStandalone(settings: StandaloneSettings): Promise<void> {
  const stop = stopSignal()
  const data = openDataDirectory(settings.directory)
  stop.addEventListener('abort', () => console.log('stopping …'))
  try {
    const postgres = await startDatabase(settings, data).catch((error: unknown) => {
      // Ctrl-C also interrupts initdb.
      if (!stop.aborted) throw error
    })
    if (!postgres) return
    try {
      await runOn(postgres, settings, data, stop)
    } finally {
      await postgres.stop()
    }
  } finally {
    data.release()
  }
}

async function runOn(
  postgres: Postgres,
  settings: StandaloneSettings,
  data: DataDirectory,
  stop: AbortSignal,
): Promise<void> {
  const databaseUrl = await prepareDatabase(postgres)
  const token = await prepareAdminToken(databaseUrl, data.adminToken)
  const signer = prepareAuditKey(data)
  if (stop.aborted) return
  const { host, port, drainSeconds, logLevel, limits, downloads, retention } = settings
  const draining = new AbortController()
  const logger = createLogger('modelkeep', logLevel)
  const service = await openStandalone({
    databaseUrl,
    objects: data.objects,
    logLevel,
    draining: draining.signal,
    limits,
    downloads,
    retention,
    signer,
  })
  const process = { name: 'modelkeep', host, port, drainSeconds, logger, draining }
  await runUntilSignal(service, process, (taken) => {
    const address = `http://${reachableHost(host)}:${taken}`
    data.writeAddress(address)
    printWelcome(address, settings, data, { token, database: postgres.home })
  }).catch((error: unknown) => failListen(error, service, settings))
}

async function startDatabase({ logLevel }: StandaloneSettings, data: DataDirectory): Promise<Postgres> {
  const logger = createLogger('postgres', logLevel)
  const lines: string[] = []
  return startPostgres({
    directory: data.postgres,
    onLog(line) {
      logger.debug(line)
      if (lines.push(line) > CRASH_LOG_LINES) lines.shift()
    },
    onCrash() {
      const end = lines.map((line) => `  ${line}`).join('\n')
      process.stderr
        .write(`PostgreSQL ended unexpectedly, and Modelkeep has stopped. Acknowledged changes are safe; restart with
npm start. The end of the PostgreSQL log:\n${end}\n`)
      data.release()
      process.exit(1)
    },
  })
}

/** Closes the service, and throws ConfigError where the server could not listen on its address. */
async function failListen(error: unknown, service: Service, { host, port }: StandaloneSettings): Promise<never> {
  const { code, syscall } = error as NodeJS.ErrnoException
  if (syscall !== 'listen') throw error
  await service.close()
  const problem = code === 'EADDRINUSE' ? 'is in use; choose another with --port' : `cannot be listened on (${code})`
  throw new ConfigError([`address ${host}:${port} ${problem}`])
}

/** Returns the host by which clients on this machine reach a server that listens on `host`. */
function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}

function printWelcome(
  address: string,
  { directory }: StandaloneSettings,
  data: DataDirectory,
  { token, database }: { token: string; database: string },
): void {
  const isDefault = directory === DEFAULT_DIRECTORY
  const isInvalid = token === 'invalid'
  // When root starts the server, PostgreSQL runs as another user, who may not be able to reach the data directory.
  const databaseLine = database === data.postgres ? '' : `\n  database     ${database}`
  console.log(`Modelkeep is running at ${address}

  data         ${directory}${databaseLine}
  admin token  ${data.adminToken}${isInvalid ? ' (expired or revoked; remove the file and restart)' : ''}
  audit key    ${data.auditVkey}
  try          ${isDefault ? '' : `MODELKEEP_DATA=${directory} `}npx modelkeep push MODEL-FILE my-model

Press Ctrl-C to stop. All data remains in the data directory.`)
}

async function main(args: string[]): Promise<number> {
  try {
    const settings = readStandaloneSettings(args, processEnvironment())
    if (!settings) console.log(USAGE)
    else await runStandalone(settings)
    return 0
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}\n\n${USAGE}`)
      return 2
    }
    console.error(error instanceof ConfigError ? error.problems.join('\n') : error)
    return 1
  }
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)))
