import { MikroORM } from '@mikro-orm/postgresql'
import { randomUUID } from 'node:crypto'
import { inject } from 'vitest'

export const TEMPLATE = 'modelkeep_template'

export interface TestDatabase {
  /** A superuser's URL of a database with the schemas of all services. */
  url: string
  drop(): Promise<void>
}

export async function createDatabase(): Promise<TestDatabase> {
  const server = inject('postgresUrl')
  const name = `test_${randomUUID().replaceAll('-', '')}`
  await runSql(server, `create database ${name} template ${TEMPLATE}`)
  const url = new URL(server)
  url.pathname = name
  return { url: url.href, drop: async () => void (await runSql(server, `drop database ${name} with (force)`)) }
}

const opened = new Map<string, MikroORM>()

/** Runs one statement and returns its rows. */
export async function runSql(url: string, statement: string, parameters: unknown[] = []): Promise<object[]> {
  const orm =
    opened.get(url) ?? new MikroORM({ clientUrl: url, entities: [], discovery: { warnWhenNoEntities: false } })
  opened.set(url, orm)
  return orm.em.fork().execute<object[]>(statement, parameters)
}

export async function closeSql(url: string): Promise<void> {
  await opened.get(url)?.close(true)
  opened.delete(url)
}
