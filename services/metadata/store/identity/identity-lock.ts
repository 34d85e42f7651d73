// The lock on roles and revocations, and the rule that it protects.
import { raw } from '@mikro-orm/postgresql'
import { sql } from 'kysely'
import { fail } from '#lib/errors/errors.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { query } from '#lib/store/query.ts'
import { RoleBinding } from './role-binding.ts'
import { Token } from './token.ts'

/** Serializes changes of roles and revocations of tokens until commit, so that each sees the result of the previous. */
export async function lockIdentity(em: EntityManager): Promise<void> {
  await query(em, sql`select pg_advisory_xact_lock(hashtext('modelkeep:metadata:identity'))`)
}

/** Fails with LAST_ADMIN when no administrator of the installation has a valid token. Call it under the lock, after the
 * change was flushed. */
export async function requireRemainingAdmin(em: EntityManager): Promise<void> {
  const admins = await em.find(RoleBinding, { namespace: '*', role: 'ADMIN' })
  const valid = await em.findOne(Token, {
    principal: { $in: admins.map(({ principal }) => principal) },
    revokeTime: null,
    expireTime: { $gt: raw('clock_timestamp()') },
  })
  if (valid) return
  fail('LAST_ADMIN', 'change would leave no principal with a valid token and the role ADMIN on "*"')
}
