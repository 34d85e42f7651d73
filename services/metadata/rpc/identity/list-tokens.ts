import type { HandlerContext } from '@connectrpc/connect'
import type { ListTokensRequest } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor } from '#lib/store/database.ts'
import { translateFault } from '#lib/store/faults.ts'
import { parsePrincipal } from '../../domain/identity.ts'
import { Token } from '../../store/identity/token.ts'
import type { IdentityDeps } from '../../deps.ts'
import { checkKeys, isIdKey } from '../page-keys.ts'
import { presentToken } from './present-identity.ts'

export async function listTokens({ database }: IdentityDeps, request: ListTokensRequest, context: HandlerContext) {
  const principal = request.principal === '' ? '' : parsePrincipal(request.principal)
  const page = checkKeys(parsePage(request, ['ListTokens', principal], ['string']), [isIdKey])
  const where = {
    ...(principal !== '' && { principal }),
    ...(page.after && { id: { $lt: String(page.after[0]) } }),
  }
  const found = await forkFor(database, context.signal)
    .find(Token, where, { orderBy: { id: 'desc' }, limit: page.size + 1 })
    .catch(translateFault)
  const { rows, nextPageToken } = cutPage(found, page, ({ id }) => [id])
  return { tokens: rows.map(presentToken), nextPageToken }
}
