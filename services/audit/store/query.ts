import type { RawBuilder } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'

/** Runs a statement, in the transaction of `em` if there is one, and returns its rows. Aborting `signal` cancels it. */
export async function query<Row>(em: EntityManager, statement: RawBuilder<Row>, signal?: AbortSignal): Promise<Row[]> {
  const options = signal && { signal, inflightQueryAbortStrategy: 'cancel query' as const }
  const { rows } = await statement.execute(em.getKysely(), options)
  return rows
}
