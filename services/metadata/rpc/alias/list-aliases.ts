import type { HandlerContext } from '@connectrpc/connect'
import type { ListAliasesRequest } from '#gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor } from '#lib/store/database.ts'
import { Alias } from '../../store/aliases/alias.ts'
import type { RegistryDeps } from '../../deps.ts'
import { checkKeys, isTextKey } from '../page-keys.ts'
import { presentAlias } from './present-alias.ts'
import { requireModel } from '../../changes/checks.ts'
import { parseModelRef } from '../../domain/refs.ts'

export async function listAliases({ database }: RegistryDeps, request: ListAliasesRequest, context: HandlerContext) {
  const em = forkFor(database, context.signal)
  const model = await requireModel(em, context, parseModelRef(request.model, 'model'))
  const page = checkKeys(parsePage(request, ['ListAliases', model.id], ['string']), [isTextKey])
  const found = await em.find(
    Alias,
    { model: model.id, name: { $gt: String(page.after?.[0] ?? '') } },
    { populate: ['digest'], orderBy: { name: 'asc' }, limit: page.size + 1 },
  )
  const { rows, nextPageToken } = cutPage(found, page, ({ name }) => [name])
  return { aliases: rows.map((alias) => presentAlias(alias, model)), nextPageToken }
}
