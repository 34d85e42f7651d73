import type { HandlerContext } from '@connectrpc/connect'
import type { AuthenticateTokenRequest } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { requestIdKey } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { forkFor } from '#lib/store/database.ts'
import { translateFault } from '#lib/store/faults.ts'
import { rfc3339 } from '#lib/store/time.ts'
import { parseTokenHash } from '../../domain/identity.ts'
import { findToken } from '../../store/identity/token-lookup.ts'
import type { IdentityDeps } from '../../deps.ts'
import { presentBinding, presentToken } from './present-identity.ts'

export async function authenticateToken(
  { database, reportRejectedToken }: IdentityDeps,
  request: AuthenticateTokenRequest,
  context: HandlerContext,
) {
  const hash = parseTokenHash(request.tokenSha256)
  const found = await findToken(forkFor(database.identity, context.signal), hash).catch(translateFault)
  if (found?.rejected) await reportRejectedToken(found.token, found.rejected, context.values.get(requestIdKey))
  if (!found || found.rejected === 'TOKEN_REVOKED') fail('TOKEN_NOT_FOUND', 'token is unknown or revoked')
  const { token, rejected, roles } = found
  if (rejected) fail('TOKEN_NOT_FOUND', 'token has expired', { expire_time: rfc3339(token.expireTime) })
  return { token: presentToken(token), roles: roles.map(presentBinding) }
}
