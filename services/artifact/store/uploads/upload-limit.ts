// The number of unfinished uploads that a principal may have in a namespace.
import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import { UNFINISHED_SQL } from './upload.ts'

/** Until the transaction ends, no other transaction starts an upload of the principal in the namespace. */
export async function lockUploadsOf(em: EntityManager, principal: string, namespace: string): Promise<void> {
  const key = `${namespace}/${principal}`
  await query(em, sql`select pg_advisory_xact_lock(hashtextextended(${key}, 0))`)
}

/** The number of unfinished resumable uploads. The count ends at `limit`. */
export async function countUnfinished(
  em: EntityManager,
  principal: string,
  namespace: string,
  limit: number,
): Promise<number> {
  const [row] = await query<{ count: number }>(
    em,
    sql`select count(*)::int from (
      select from upload where principal = ${principal} and namespace = ${namespace} and resumable
        and state in ${UNFINISHED_SQL} limit ${limit}
    ) unfinished`,
  )
  return row!.count
}
