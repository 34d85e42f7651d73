import type { HandlerContext } from '@connectrpc/connect'
import type { ListNamespacesRequest } from '#gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor } from '#lib/store/database.ts'
import { Namespace } from '../../store/models/namespace.ts'
import type { RegistryDeps } from '../../deps.ts'
import { checkKeys, isTextKey } from '../page-keys.ts'
import { presentNamespace } from './present-namespace.ts'

export async function listNamespaces(
  { database }: RegistryDeps,
  request: ListNamespacesRequest,
  context: HandlerContext,
) {
  const readable = accessOf(context).namespaces()
  const page = checkKeys(parsePage(request, ['ListNamespaces'], ['string']), [isTextKey])
  const after = String(page.after?.[0] ?? '')
  const where = { name: { $gt: after, ...(readable !== 'all' && { $in: readable }) } }
  const em = forkFor(database, context.signal)
  const found = await em.find(Namespace, where, { orderBy: { name: 'asc' }, limit: page.size + 1 })
  const { rows, nextPageToken } = cutPage(found, page, ({ name }) => [name])
  return { namespaces: rows.map(presentNamespace), nextPageToken }
}
