import type { HandlerContext } from '@connectrpc/connect'
import { PromotionState } from '#gen/modelkeep/metadata/v1/promotion_pb.ts'
import type { ListPromotionsRequest } from '#gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { failField } from '#lib/errors/errors.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { wordOf } from '#lib/values/words.ts'
import { parseNamespace } from '../../domain/names.ts'
import { parseModelRef } from '../../domain/refs.ts'
import type { PromotionStateName } from '../../domain/governance/promotion-state.ts'
import { listPromotions as selectPromotions, type PromotionQuery } from '../../store/governance/promotion-list.ts'
import type { RegistryDeps } from '../../deps.ts'
import { checkKeys, isIdKey, isTimeKey } from '../page-keys.ts'
import { presentPromotion } from './present-promotion.ts'
import { requireModel } from '../../changes/checks.ts'

export async function listPromotions(
  { database }: RegistryDeps,
  request: ListPromotionsRequest,
  context: HandlerContext,
) {
  const state = parseState(request.state)
  const em = forkFor(database, context.signal)
  const within = await authorizeScope(em, request, context)
  const query = ['ListPromotions', ...Object.entries(within).flat(), state ?? '']
  const page = checkKeys(parsePage(request, query, ['string', 'string']), [isTimeKey, isIdKey])
  const found = await selectPromotions(em, { within, state, page })
  const { rows, nextPageToken } = cutPage(found.rows, found.page, ({ requestTime, id }) => [requestTime, id])
  return { promotions: rows.map(presentPromotion), nextPageToken }
}

function parseState(state: PromotionState): PromotionStateName | undefined {
  if (state === PromotionState.UNSPECIFIED) return undefined
  const known: number[] = Object.values(PromotionState)
  if (!known.includes(state)) failField('state', 'must be a known PromotionState')
  return wordOf(PromotionState, state) as PromotionStateName
}

async function authorizeScope(
  em: EntityManager,
  request: ListPromotionsRequest,
  context: HandlerContext,
): Promise<PromotionQuery['within']> {
  if (!request.model) {
    const namespace = parseNamespace(request.namespace, 'namespace')
    accessOf(context).require(namespace)
    return { namespace }
  }
  if (request.namespace !== '') failField('namespace', 'must be empty when model is set')
  const model = await requireModel(em, context, parseModelRef(request.model, 'model'))
  return { modelId: model.id }
}
