import type { HandlerContext } from '@connectrpc/connect'
import type { ListNamespacesRequest } from '#gen/modelkeep/metadata/v1/namespace_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor } from '#lib/store/database.ts'
import * as namespaces from '../../store/models/namespace.ts'
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
  const question = { after: page.after && String(page.after[0]), limit: page.size + 1 }
  const found = await namespaces.listNamespaces(forkFor(database, context.signal), readable, question)
  const { rows, nextPageToken } = cutPage(found, page, ({ name }) => [name])
  return { namespaces: rows.map(presentNamespace), nextPageToken }
}
