import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  RejectPromotionRequestSchema,
  RejectPromotionResponseSchema,
  type RejectPromotionRequest,
} from '#gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { parseUuid } from '#lib/values/ids.ts'
import { forkFor } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parseRequiredReason } from '../../domain/text.ts'
import { findPromotion } from '../../store/governance/find-promotions.ts'
import type { RegistryDeps } from '../../deps.ts'
import { presentPromotion } from './present-promotion.ts'
import { closePromotion } from '../../changes/close-promotion.ts'
import { promotionEvent } from '../../changes/promotion-event.ts'
import { authorizePromotion, requirePending } from '../../changes/promotion-steps.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { addVote } from './add-vote.ts'
import { requireVoter } from './require-voter.ts'

export async function rejectPromotion(deps: RegistryDeps, request: RejectPromotionRequest, context: HandlerContext) {
  const id = parseUuid(request.id, 'id')
  const reason = parseRequiredReason(request.reason)
  const found = await authorizePromotion(forkFor(deps.database, context.signal), context, id)
  const once = { context, request, input: RejectPromotionRequestSchema, output: RejectPromotionResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const { promotion } = await requirePending(em, found)
    const principal = requireVoter(context, promotion)
    await addVote(em, promotion, { principal, approved: false, reason })
    await closePromotion(em, promotion, { state: 'REJECTED', closer: principal, reason })
    emit(em, context, promotionEvent(promotion, { type: 'promotion.rejected.v1', reason }))
    return create(RejectPromotionResponseSchema, { promotion: presentPromotion((await findPromotion(em, id))!) })
  })
  await settleChange(deps.relay, context)
  return answer
}
