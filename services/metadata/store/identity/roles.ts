// Giving, taking and listing roles, and the guard of the last administrator.
import { v7 as uuidv7 } from 'uuid'
import { fail } from '#lib/errors/errors.ts'
import type { EntityManager } from '#lib/store/database.ts'
import type { RoleWord } from '../../domain/identity.ts'
import type { RoleRow } from './identity.ts'

const COLUMNS = 'id, principal, namespace, role, create_time'

/** Changes of roles and revocations go one after the other until commit: each sees what the one before left. */
export async function lockIdentity(em: EntityManager): Promise<void> {
  await em.execute(`select pg_advisory_xact_lock(hashtext('modelkeep:metadata:identity'))`)
}

/** To be called under the lock, after the change. */
export async function requireAdmin(em: EntityManager): Promise<void> {
  const working = await em.execute<unknown[]>(
    `select 1 from role_binding b join token t on t.principal = b.principal
      where b.namespace = '*' and b.role = 'ADMIN' and t.revoke_time is null and t.expire_time > clock_timestamp()
      limit 1`,
  )
  if (working.length > 0) return
  fail('LAST_ADMIN', 'change would leave no principal with a valid token and the role ADMIN on "*"')
}

export async function findRole(em: EntityManager, principal: string, namespace: string): Promise<RoleRow | undefined> {
  const [binding] = await em.execute<RoleRow[]>(
    `select ${COLUMNS} from role_binding where principal = ? and namespace = ?`,
    [principal, namespace],
  )
  return binding
}

/** In place of the role that the principal has there. To be called under the lock. */
export async function putRole(
  em: EntityManager,
  principal: string,
  namespace: string,
  role: RoleWord,
): Promise<RoleRow> {
  const [binding] = await em.execute<RoleRow[]>(
    `insert into role_binding (id, principal, namespace, role) values (?, ?, ?, ?)
      on conflict (principal, namespace) do update set role = excluded.role, create_time = now()
      returning ${COLUMNS}`,
    [uuidv7(), principal, namespace, role],
  )
  return binding!
}

export async function removeRole(em: EntityManager, id: string): Promise<void> {
  await em.execute('delete from role_binding where id = ?', [id])
}

/** By principal; `after`: the last principal of the page before. */
export async function listRoles(
  em: EntityManager,
  question: { namespace: string; after: string | undefined; limit: number },
): Promise<RoleRow[]> {
  const { namespace, after, limit } = question
  return em.execute<RoleRow[]>(
    `select ${COLUMNS} from role_binding where namespace = ? and principal > ? order by principal limit ?`,
    [namespace, after ?? '', limit],
  )
}

/** A principal's roles, by namespace. */
export async function listRolesOf(em: EntityManager, principal: string): Promise<RoleRow[]> {
  return em.execute<RoleRow[]>(`select ${COLUMNS} from role_binding where principal = ? order by namespace`, [
    principal,
  ])
}

/** Whether the namespace is there; it stays so until this transaction ends. */
export async function holdNamespace(em: EntityManager, name: string): Promise<boolean> {
  const found = await em.execute<unknown[]>('select 1 from namespace where name = ? for share', [name])
  return found.length > 0
}
