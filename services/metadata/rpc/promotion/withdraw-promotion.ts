import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import { Permission } from '#gen/modelkeep/common/v1/access_pb.ts'
import {
  WithdrawPromotionRequestSchema,
  WithdrawPromotionResponseSchema,
  type WithdrawPromotionRequest,
} from '#gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { accessOf, holds } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { parseUuid } from '#lib/values/ids.ts'
import { forkFor } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parseReason } from '../../domain/text.ts'
import { findPromotion } from '../../store/governance/find-promotions.ts'
import type { Promotion } from '../../store/governance/promotion.ts'
import type { RegistryDeps } from '../../deps.ts'
import { presentPromotion } from './present-promotion.ts'
import { closePromotion } from '../../changes/close-promotion.ts'
import { promotionEvent } from '../../changes/promotion-event.ts'
import { authorizePromotion, requirePending } from '../../changes/promotion-steps.ts'
import { settleChange } from '../../changes/settle-change.ts'

export async function withdrawPromotion(
  deps: RegistryDeps,
  request: WithdrawPromotionRequest,
  context: HandlerContext,
) {
  const id = parseUuid(request.id, 'id')
  const reason = parseReason(request.reason)
  const found = await authorizePromotion(forkFor(deps.database, context.signal), context, id)
  const closer = requireOwner(context, found)
  const once = { context, request, input: WithdrawPromotionRequestSchema, output: WithdrawPromotionResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const { promotion } = await requirePending(em, found)
    await closePromotion(em, promotion, { state: 'WITHDRAWN', closer, reason })
    emit(em, context, promotionEvent(promotion, { type: 'promotion.withdrawn.v1', reason }))
    return create(WithdrawPromotionResponseSchema, { promotion: presentPromotion((await findPromotion(em, id))!) })
  })
  await settleChange(deps.relay, context)
  return answer
}

function requireOwner(context: HandlerContext, { namespace, requester }: Promotion): string {
  const { caller } = accessOf(context)
  if (caller.principal === requester || holds(caller, Permission.ADMINISTER, namespace)) return caller.principal
  const metadata = { permission: 'ADMINISTER', namespace }
  fail(
    'PERMISSION_DENIED',
    `only "${requester}" or an administrator of namespace "${namespace}" can withdraw this promotion`,
    metadata,
  )
}
