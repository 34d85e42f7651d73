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
  return { url: url.href, drop: () => runSql(server, `drop database ${name} with (force)`) }
}

/** One statement on a connection of its own. */
export async function runSql<T extends object[] = object[]>(url: string, statement: string): Promise<void & T> {
  const orm = new MikroORM({ clientUrl: url, entities: [], discovery: { warnWhenNoEntities: false } })
  try {
    return (await orm.em.fork().execute(statement)) as never
  } finally {
    await orm.close(true)
  }
}
