// One database for all services, each in its own schema with its own role.
import { SERVICE_NAMES } from '#lib/process/settings.ts'
import { openOwnedStore } from '../metadata/store/orm.ts'
import { migrate } from '../migrate.ts'
import type { Postgres } from './postgres.ts'

const DATABASE = 'modelkeep'

/** Creates the database where there is none, migrates all schemas, and returns its URL. */
export async function prepareDatabase(postgres: Postgres): Promise<string> {
  const server = openOwnedStore({ url: postgres.url('postgres') })
  try {
    const em = server.em.fork()
    const known = await em.execute('select from pg_database where datname = ?', [DATABASE])
    if (known.length === 0) await em.execute(`create database ${DATABASE}`)
  } finally {
    await server.close(true)
  }
  const url = postgres.url(DATABASE)
  for (const name of SERVICE_NAMES) await migrate(name, url)
  return url
}
