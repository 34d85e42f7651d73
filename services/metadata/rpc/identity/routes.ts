import type { ServiceImpl } from '@connectrpc/connect'
import type { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import type { IdentityDeps } from '../../deps.ts'
import { grantRole } from './grant-role.ts'
import { listRoles } from './list-roles.ts'
import { revokeRole } from './revoke-role.ts'
import { createToken } from './create-token.ts'
import { listTokens } from './list-tokens.ts'
import { revokeToken } from './revoke-token.ts'
import { whoAmI } from './who-am-i.ts'
import { authenticateToken } from './authenticate-token.ts'

export function identityRoutes(deps: IdentityDeps): ServiceImpl<typeof IdentityService> {
  return {
    whoAmI: (_request, context) => whoAmI(deps, context),
    createToken: (request, context) => createToken(deps, request, context),
    listTokens: (request, context) => listTokens(deps, request, context),
    revokeToken: (request, context) => revokeToken(deps, request, context).finally(() => deps.callers.clear()),
    grantRole: (request, context) => grantRole(deps, request, context).finally(() => deps.callers.clear()),
    revokeRole: (request, context) => revokeRole(deps, request, context).finally(() => deps.callers.clear()),
    listRoles: (request, context) => listRoles(deps, request, context),
    authenticateToken: (request, context) => authenticateToken(deps, request, context),
  }
}
