// `npm run migrate -- metadata|artifact|audit|all`: migrates the schema of a service, as the schema's owner.
import { ConfigError, EnvReader, processEnvironment } from '#lib/process/env.ts'
import { readDatabaseUrl, SERVICE_NAMES, type ServiceName } from '#lib/process/settings.ts'
import type { Database } from '#lib/store/database.ts'
import { describeUnavailable } from '#lib/store/faults.ts'
import { openOwnedStore as openArtifact } from './artifact/store/orm.ts'
import { openOwnedStore as openAudit } from './audit/store/orm.ts'
import { openOwnedStore as openMetadata } from './metadata/store/orm.ts'

const OPEN: Record<ServiceName, (options: { url: string }) => Database> = {
  metadata: openMetadata,
  artifact: openArtifact,
  audit: openAudit,
}

const USAGE = `usage: npm run migrate -- ${SERVICE_NAMES.join('|')}|all`

/** Migrates the schema of a service. Processes that migrate at the same time wait for each other. Returns the names of the
 * applied migrations. */
export async function migrate(service: ServiceName, url: string): Promise<string[]> {
  const database = OPEN[service]({ url })
  try {
    return await database.em.fork().transactional(async (em) => {
      // This transaction holds the lock; the migrations run in transactions of their own, on other connections.
      await em.execute('select pg_advisory_xact_lock(hashtext(?))', [`modelkeep:${service}`])
      await database.em.fork().execute(`create schema if not exists ${service}`)
      const applied = await database.migrator.up()
      return applied.map(({ name }) => name)
    })
  } finally {
    await database.close(true)
  }
}

async function main(choice: string | undefined): Promise<void> {
  if (choice === '--help' || choice === '-h') return console.log(USAGE)
  const names = SERVICE_NAMES.filter((name) => choice === 'all' || choice === name)
  if (names.length === 0)
    throw new ConfigError([`service is missing or unknown; name one of ${SERVICE_NAMES.join(', ')}, or all`])
  const env = new EnvReader(processEnvironment())
  const url = readDatabaseUrl(env)
  env.check()
  for (const name of names) {
    const applied = await migrate(name, url)
    console.log(applied.length > 0 ? `${name}: applied ${applied.join(', ')}` : `${name}: up to date`)
  }
}

if (import.meta.main) {
  await main(process.argv[2]).catch((error: unknown) => {
    console.error(error instanceof ConfigError ? error.message : (describeUnavailable(error) ?? error))
    process.exitCode = 1
  })
}
