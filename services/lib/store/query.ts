import type { RawBuilder } from 'kysely'
import type { EntityManager } from './database.ts'

type ExecuteOptions = Parameters<RawBuilder<unknown>['execute']>[1]

/** Runs a statement, in the transaction of `em` if there is one, and returns its rows. Aborting `signal`, or the signal that
 * `em` was forked with, cancels the statement. */
export async function query<Row>(em: EntityManager, statement: RawBuilder<Row>, signal?: AbortSignal): Promise<Row[]> {
  const options = signal ? { signal, inflightQueryAbortStrategy: 'cancel query' as const } : abortOptionsOf(em)
  const { rows } = await statement.execute(em.getKysely(), options)
  return rows
}

/** MikroORM passes these options to its own statements only, and does not declare the method public. */
function abortOptionsOf(em: EntityManager): ExecuteOptions {
  return (em as unknown as { getAbortOptions(): ExecuteOptions }).getAbortOptions()
}
