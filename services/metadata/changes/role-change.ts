// Granting a role, by an RPC or by the admin-token job.
import { v7 as uuidv7 } from 'uuid'
import type { EntityManager } from '#lib/store/database.ts'
import { transactionTime } from '#lib/store/time.ts'
import type { RoleName } from '../domain/identity.ts'
import { RoleBinding } from '../store/identity/role-binding.ts'

/** Inserts the binding, or replaces the role that the principal has in the namespace. The caller holds the identity
 * lock. */
export async function upsertRole(
  em: EntityManager,
  before: RoleBinding | null,
  init: { principal: string; namespace: string; role: RoleName },
): Promise<RoleBinding> {
  if (!before) {
    const binding = em.create(RoleBinding, { id: uuidv7(), ...init })
    await em.flush()
    return binding
  }
  em.assign(before, { role: init.role, createTime: transactionTime() })
  await em.flush()
  return em.refreshOrFail(before)
}

export function roleDetails({ principal, namespace, role }: RoleBinding) {
  return { principal, namespace, role }
}
