import type { HandlerContext } from '@connectrpc/connect'
import { accessOf } from '#lib/access/caller.ts'
import { forkFor } from '#lib/store/database.ts'
import { translateFault } from '#lib/store/faults.ts'
import { RoleBinding } from '../../store/identity/role-binding.ts'
import { Token } from '../../store/identity/token.ts'
import type { IdentityDeps } from '../../deps.ts'
import { presentBinding, presentToken } from './present-identity.ts'

export async function whoAmI({ database }: IdentityDeps, context: HandlerContext) {
  const { principal, credentialId } = accessOf(context).caller
  if (credentialId === '') return { principal, roles: [] }
  const em = forkFor(database, context.signal)
  const token = await em.findOne(Token, credentialId).catch(translateFault)
  const roles = await em.find(RoleBinding, { principal }, { orderBy: { namespace: 'asc' } }).catch(translateFault)
  return { principal, roles: roles.map(presentBinding), ...(token && { token: presentToken(token) }) }
}
