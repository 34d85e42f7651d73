import type { HandlerContext } from '@connectrpc/connect'
import type { GetPromotionRequest } from '#gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { parseUuid } from '#lib/values/ids.ts'
import { forkFor } from '#lib/store/database.ts'
import type { RegistryDeps } from '../../deps.ts'
import { presentPromotion } from './present-promotion.ts'
import { authorizePromotion } from '../../changes/promotion-steps.ts'

export async function getPromotion({ database }: RegistryDeps, request: GetPromotionRequest, context: HandlerContext) {
  const id = parseUuid(request.id, 'id')
  return { promotion: presentPromotion(await authorizePromotion(forkFor(database, context.signal), context, id)) }
}
