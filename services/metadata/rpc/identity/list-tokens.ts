import type { HandlerContext } from '@connectrpc/connect'
import type { ListTokensRequest } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor } from '#lib/store/database.ts'
import { translateFault } from '#lib/store/faults.ts'
import { parsePrincipal } from '../../domain/identity.ts'
import * as tokens from '../../store/identity/tokens.ts'
import type { IdentityDeps } from '../../deps.ts'
import { checkKeys, isIdKey } from '../page-keys.ts'
import { presentToken } from './present-identity.ts'

export async function listTokens({ database }: IdentityDeps, request: ListTokensRequest, context: HandlerContext) {
  const principal = request.principal === '' ? '' : parsePrincipal(request.principal)
  const page = checkKeys(parsePage(request, ['ListTokens', principal], ['string']), [isIdKey])
  const before = page.after && String(page.after[0])
  const em = forkFor(database, context.signal)
  const question = { principal, before, limit: page.size + 1 }
  const { rows, nextPageToken } = cutPage(
    await tokens.listTokens(em, question).catch(translateFault),
    page,
    ({ id }) => [id],
  )
  return { tokens: rows.map(presentToken), nextPageToken }
}
