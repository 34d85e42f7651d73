// Prepared statements for the hot paths that a benchmark measures. PostgreSQL parses and plans each once per connection.
import { CompiledQuery, type RawBuilder } from 'kysely'
import type { EntityManager } from './database.ts'

export interface PreparedStatement<Row> {
  name: string
  statement: RawBuilder<Row>
  /** The compiled text of the statement; undefined before its first run. */
  text?: string
}

/** The name must be unique in a service. The statement writes its parameters as `$1`, `$2`, and so on. */
export function prepare<Row>(name: string, statement: RawBuilder<unknown>): PreparedStatement<Row> {
  return { name, statement: statement as RawBuilder<Row> }
}

/** Runs the statement, in the transaction of `em` if there is one. It is short, so it is not cancelled with its call. */
export async function runPrepared<Row>(
  em: EntityManager,
  prepared: PreparedStatement<Row>,
  values: unknown[],
): Promise<Row[]> {
  const kysely = em.getKysely()
  const text = (prepared.text ??= prepared.statement.compile(kysely).sql)
  // Kysely passes this to `pg` as it is, which prepares statements that have a name.
  const named = { name: prepared.name, text } as unknown as string
  const { rows } = await kysely.executeQuery<Row>(CompiledQuery.raw(named, values))
  return rows
}
