import type { HandlerContext } from '@connectrpc/connect'
import type { ListAliasMovesRequest } from '#gen/modelkeep/metadata/v1/alias_service_pb.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseAliasName } from '../../domain/names.ts'
import { parseModelRef } from '../../domain/refs.ts'
import { listMoves } from '../../store/aliases/alias-move-list.ts'
import type { RegistryDeps } from '../../deps.ts'
import { checkKeys, isIdKey, isTimeKey } from '../page-keys.ts'
import { presentMove } from './present-alias.ts'
import { requireModel } from '../../changes/checks.ts'

export async function listAliasMoves(
  { database }: RegistryDeps,
  request: ListAliasMovesRequest,
  context: HandlerContext,
) {
  const name = request.name === '' ? '' : parseAliasName(request.name, 'name')
  const em = forkFor(database, context.signal)
  const model = await requireModel(em, context, parseModelRef(request.model, 'model'))
  const given = parsePage(request, ['ListAliasMoves', model.id, name], ['string', 'string'])
  const page = checkKeys(given, [isTimeKey, isIdKey])
  const after = page.after && ([String(page.after[0]), String(page.after[1])] satisfies [string, string])
  const found = await listMoves(em, { modelId: model.id, name, after, limit: page.size + 1 })
  const { rows, nextPageToken } = cutPage(found, page, ({ moveTime, id }) => [moveTime, id])
  return { moves: rows.map(presentMove), nextPageToken }
}
