import type { ServiceImpl } from '@connectrpc/connect'
import type { PromotionService } from '#gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import type { RegistryDeps } from '../../deps.ts'
import { approvePromotion } from './approve-promotion.ts'
import { rejectPromotion } from './reject-promotion.ts'
import { withdrawPromotion } from './withdraw-promotion.ts'
import { requestPromotion } from './request-promotion.ts'
import { getPromotion } from './get-promotion.ts'
import { listPromotions } from './list-promotions.ts'

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
