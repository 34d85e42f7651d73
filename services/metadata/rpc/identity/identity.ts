// IdentityService: who calls, with which tokens and roles.
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect'
import type { AuthenticateTokenRequest, IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { accessOf, requestIdKey } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { forkFor } from '#lib/store/database.ts'
import { translateFault } from '#lib/store/faults.ts'
import { rfc3339 } from '#lib/store/time.ts'
import { parseTokenHash } from '../../domain/identity.ts'
import { findToken } from '../../store/identity/identity.ts'
import { listRolesOf } from '../../store/identity/roles.ts'
import { findTokenById } from '../../store/identity/tokens.ts'
import type { IdentityDeps } from '../../deps.ts'
import { presentBinding, presentToken } from './present-identity.ts'
import { grantRole, listRoles, revokeRole } from './roles.ts'
import { createToken, listTokens, revokeToken } from './tokens.ts'

export function identityRoutes(deps: IdentityDeps): ServiceImpl<typeof IdentityService> {
  return {
    whoAmI: (_request, context) => whoAmI(deps, context),
    createToken: (request, context) => createToken(deps, request, context),
    listTokens: (request, context) => listTokens(deps, request, context),
    revokeToken: (request, context) => revokeToken(deps, request, context),
    grantRole: (request, context) => grantRole(deps, request, context),
    revokeRole: (request, context) => revokeRole(deps, request, context),
    listRoles: (request, context) => listRoles(deps, request, context),
    authenticateToken: (request, context) => authenticateToken(deps, request, context),
  }
}

async function whoAmI({ database }: IdentityDeps, context: HandlerContext) {
  const { principal, credentialId } = accessOf(context).caller
  if (credentialId === '') return { principal, roles: [] }
  const em = forkFor(database, context.signal)
  const token = await findTokenById(em, credentialId).catch(translateFault)
  const roles = await listRolesOf(em, principal).catch(translateFault)
  return { principal, roles: roles.map(presentBinding), ...(token ? { token: presentToken(token) } : {}) }
}

async function authenticateToken(
  { database, tellDead }: IdentityDeps,
  request: AuthenticateTokenRequest,
  context: HandlerContext,
) {
  const hash = parseTokenHash(request.tokenSha256)
  const found = await findToken(forkFor(database, context.signal), hash).catch(translateFault)
  if (found?.death) await tellDead(found.token, found.death, context.values.get(requestIdKey))
  if (!found || found.death === 'TOKEN_REVOKED') fail('TOKEN_NOT_FOUND', 'token is unknown or revoked')
  const { token, death, roles } = found
  if (death) fail('TOKEN_NOT_FOUND', 'token has expired', { expire_time: rfc3339(token.expire_time) })
  return { token: presentToken(token), roles: roles.map(presentBinding) }
}
