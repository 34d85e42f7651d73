import type { HandlerContext } from '@connectrpc/connect'
import type { ListModelsRequest } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { accessOf, type Access } from '#lib/access/caller.ts'
import { parseFilter } from '#lib/lists/filter.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { search } from '#lib/store/search.ts'
import { parseNamespace } from '../../domain/names.ts'
import { parseModelOrder } from '../../domain/orders.ts'
import { MAX_FILTER_BYTES, parseText } from '../../domain/text.ts'
import { listModels as selectModels } from '../../store/models/model-list.ts'
import type { RegistryDeps } from '../../deps.ts'
import { checkKeys, isIdKey, isTextKey, isTimeKey } from '../page-keys.ts'
import { presentModel } from './present-model.ts'

export async function listModels({ database }: RegistryDeps, request: ListModelsRequest, context: HandlerContext) {
  const namespaces = parseScope(accessOf(context), request.namespace)
  const filter = parseFilter(parseText(request.filter, 'filter', MAX_FILTER_BYTES))
  const order = parseModelOrder(request.orderBy)
  const query = ['ListModels', request.namespace, request.filter, order.by, String(order.descending)]
  const isKey = order.by === 'name' ? isTextKey : isTimeKey
  const page = checkKeys(parsePage(request, query, ['string', 'string']), [isKey, isIdKey])
  const wanted = { filter, narrow: 'name, owner or create_time', signal: context.signal }
  const found = await search(database, wanted, (em) => selectModels(em, { namespaces, filter, order, page }))
  const { rows, nextPageToken } = cutPage(found.rows, found.page, ({ sortKey, model }) => [sortKey, model.id])
  return { models: rows.map(({ model }) => presentModel(model)), nextPageToken }
}

function parseScope(access: Access, namespace: string): 'all' | string[] {
  if (namespace === '') return access.namespaces()
  const name = parseNamespace(namespace, 'namespace')
  access.require(name)
  return [name]
}
