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

/** One statement on a connection of its own; its rows. */
export async function runSql(url: string, statement: string, parameters: unknown[] = []): Promise<object[]> {
  const orm = new MikroORM({ clientUrl: url, entities: [], discovery: { warnWhenNoEntities: false } })
  try {
    return await orm.em.fork().execute<object[]>(statement, parameters)
  } finally {
    await orm.close(true)
  }
}
