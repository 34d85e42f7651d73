// The number of unfinished uploads that a principal may have in a namespace.
import type { EntityManager } from '#lib/store/database.ts'
import { UNFINISHED_SQL } from './upload.ts'

/** Until the transaction ends, no other transaction starts an upload of the principal in the namespace. */
export async function lockUploadsOf(em: EntityManager, principal: string, namespace: string): Promise<void> {
  await em.execute('select pg_advisory_xact_lock(hashtextextended(?, 0))', [`${namespace}/${principal}`])
}

/** The number of unfinished resumable uploads. The count ends at `limit`. */
export async function countUnfinished(
  em: EntityManager,
  principal: string,
  namespace: string,
  limit: number,
): Promise<number> {
  const [row] = await em.execute<{ count: number }[]>(
    `select count(*)::int from (
      select from upload where principal = ? and namespace = ? and resumable and state in ${UNFINISHED_SQL} limit ?
    ) unfinished`,
    [principal, namespace, limit],
  )
  return row!.count
}
