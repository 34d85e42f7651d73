import type { HandlerContext, ServiceImpl } from '@connectrpc/connect'
import { PromotionState } from '#gen/modelkeep/metadata/v1/promotion_pb.ts'
import type {
  GetPromotionRequest,
  ListPromotionsRequest,
  PromotionService,
} from '#gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { failField } from '#lib/errors/errors.ts'
import { parseUuid } from '#lib/values/ids.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { wordOf } from '#lib/values/words.ts'
import { parseNamespace } from '../../domain/names.ts'
import { parseModelRef } from '../../domain/refs.ts'
import { findModel } from '../../store/models/model-rows.ts'
import type { PromotionWord } from '../../store/governance/promotion.ts'
import { listPromotions as selectPromotions, type PromotionQuestion } from '../../store/governance/promotion-rows.ts'
import { authorizeModel, failNoModel } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { checkKeys, isIdKey, isTimeKey } from '../page-keys.ts'
import { presentPromotion } from '../present-governance.ts'
import { authorizePromotion } from '../../changes/promotion-steps.ts'
import { approvePromotion, rejectPromotion, withdrawPromotion } from './promotion-votes.ts'
import { requestPromotion } from './request-promotion.ts'

export function promotionRoutes(deps: RegistryDeps): ServiceImpl<typeof PromotionService> {
  return {
    requestPromotion: (request, context) => requestPromotion(deps, request, context),
    approvePromotion: (request, context) => approvePromotion(deps, request, context),
    rejectPromotion: (request, context) => rejectPromotion(deps, request, context),
    withdrawPromotion: (request, context) => withdrawPromotion(deps, request, context),
    getPromotion: (request, context) => getPromotion(deps, request, context),
    listPromotions: (request, context) => listPromotions(deps, request, context),
  }
}

async function getPromotion({ database }: RegistryDeps, request: GetPromotionRequest, context: HandlerContext) {
  const id = parseUuid(request.id, 'id')
  return { promotion: presentPromotion(await authorizePromotion(forkFor(database, context.signal), context, id)) }
}

async function listPromotions({ database }: RegistryDeps, request: ListPromotionsRequest, context: HandlerContext) {
  const state = parseState(request.state)
  const em = forkFor(database, context.signal)
  const within = await findWithin(em, request, context)
  const query = ['ListPromotions', ...Object.entries(within).flat(), state ?? '']
  const page = checkKeys(parsePage(request, query, ['string', 'string']), [isTimeKey, isIdKey])
  const found = await selectPromotions(em, { within, state, page }, context.signal)
  const { rows, nextPageToken } = cutPage(found.rows, found.page, (row) => [row.request_time, row.id])
  return { promotions: rows.map(presentPromotion), nextPageToken }
}

function parseState(state: PromotionState): PromotionWord | undefined {
  if (state === PromotionState.UNSPECIFIED) return undefined
  const known: number[] = Object.values(PromotionState)
  if (!known.includes(state)) failField('state', 'must be a known PromotionState')
  return wordOf(PromotionState, state) as PromotionWord
}

async function findWithin(
  em: EntityManager,
  request: ListPromotionsRequest,
  context: HandlerContext,
): Promise<PromotionQuestion['within']> {
  if (!request.model) {
    const namespace = parseNamespace(request.namespace, 'namespace')
    accessOf(context).require(namespace)
    return { namespace }
  }
  if (request.namespace !== '') failField('namespace', 'must be empty when model is set')
  const key = parseModelRef(request.model, 'model')
  await authorizeModel(em, context, key)
  const model = (await findModel(em, key)) ?? failNoModel(key)
  return { modelId: model.id }
}
