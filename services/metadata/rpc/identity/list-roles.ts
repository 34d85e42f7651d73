import type { HandlerContext } from '@connectrpc/connect'
import type { ListRolesRequest } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor } from '#lib/store/database.ts'
import { translateFault } from '#lib/store/faults.ts'
import { parseScope } from '../../domain/identity.ts'
import { RoleBinding } from '../../store/identity/role-binding.ts'
import type { IdentityDeps } from '../../deps.ts'
import { checkKeys, isTextKey } from '../page-keys.ts'
import { presentBinding } from './present-identity.ts'
import { requireScope } from './role-scope.ts'

export async function listRoles({ database }: IdentityDeps, request: ListRolesRequest, context: HandlerContext) {
  const namespace = parseScope(request.namespace)
  requireScope(context, namespace)
  const page = checkKeys(parsePage(request, ['ListRoles', namespace], ['string']), [isTextKey])
  const after = String(page.after?.[0] ?? '')
  const found = await forkFor(database, context.signal)
    .find(
      RoleBinding,
      { namespace, principal: { $gt: after } },
      { orderBy: { principal: 'asc' }, limit: page.size + 1 },
    )
    .catch(translateFault)
  const { rows, nextPageToken } = cutPage(found, page, ({ principal }) => [principal])
  return { bindings: rows.map(presentBinding), nextPageToken }
}
