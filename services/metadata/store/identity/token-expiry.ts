import { sql } from 'kysely'
import type { EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'

/** The longest lifetime of a token: a year, and a minute for clock skew. */
const MAX_LIFETIME = sql`interval '1 year 1 minute'`

/** Compares with the clock of the database: whether `expireTime` is in the past, and whether it is too far in the future
 * for a token. */
export async function checkTokenExpiry(
  em: EntityManager,
  expireTime: string,
): Promise<{ past: boolean; far: boolean }> {
  const [checked] = await query<{ past: boolean; far: boolean }>(
    em,
    sql`select ${expireTime}::timestamptz <= now() as past,
      ${expireTime}::timestamptz > now() + ${MAX_LIFETIME} as far`,
  )
  return checked!
}
