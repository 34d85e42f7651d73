import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  ApprovePromotionRequestSchema,
  ApprovePromotionResponseSchema,
  type ApprovePromotionRequest,
  type ApprovePromotionResponse,
} from '#gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { parseUuid } from '#lib/values/ids.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { hasApprovals } from '../../domain/governance/approvals.ts'
import { decisionsOf } from '../../domain/governance/gate-decision.ts'
import { parseRequiredReason } from '../../domain/text.ts'
import type { Model } from '../../store/models/model.ts'
import { findPromotion } from '../../store/governance/find-promotions.ts'
import type { Promotion } from '../../store/governance/promotion.ts'
import { findVersion } from '../../store/versions/find-version.ts'
import { requireActive } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { requireGatesMet } from '../../changes/gate-decisions.ts'
import { withEvaluation, type Evaluate } from '../../conditions/with-evaluation.ts'
import { presentPromotion } from './present-promotion.ts'
import { promotionEvent } from '../../changes/promotion-event.ts'
import { applyPromotion, authorizePromotion, evaluateGates, requirePending } from '../../changes/promotion-steps.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { addVote } from './add-vote.ts'
import { requireVoter } from './require-voter.ts'

export async function approvePromotion(deps: RegistryDeps, request: ApprovePromotionRequest, context: HandlerContext) {
  const id = parseUuid(request.id, 'id')
  const reason = parseRequiredReason(request.reason)
  const found = await authorizePromotion(forkFor(deps.database, context.signal), context, id)
  const once = { context, request, input: ApprovePromotionRequestSchema, output: ApprovePromotionResponseSchema }
  const answer = await withEvaluation(deps.evaluator, context, (evaluate) =>
    answerOnce(deps.database, once, (em) => approveOnce(em, context, { found, reason }, evaluate)),
  )
  await settleChange(deps.relay, context)
  return answer
}

async function approveOnce(
  em: EntityManager,
  context: HandlerContext,
  { found, reason }: { found: Promotion; reason: string },
  evaluate: Evaluate,
): Promise<ApprovePromotionResponse> {
  const { promotion, model } = await requirePending(em, found)
  requireActive(model)
  const principal = requireVoter(context, promotion)
  await addVote(em, promotion, { principal, approved: true, reason })
  const gates = decisionsOf(promotion).map(({ gateId, revision }) => ({ id: gateId, revision }))
  emit(em, context, promotionEvent(promotion, { type: 'promotion.approved.v1', reason, details: { gates } }))
  const voted = await applyIfApproved(em, context, { id: found.id, model, reason }, evaluate)
  return create(ApprovePromotionResponseSchema, { promotion: presentPromotion(voted) })
}

/** Applies the promotion if it has all approvals that it requires, and returns it. */
async function applyIfApproved(
  em: EntityManager,
  context: HandlerContext,
  { id, model, reason }: { id: string; model: Model; reason: string },
  evaluate: Evaluate,
): Promise<Promotion> {
  const promotion = (await findPromotion(em, id))!
  if (!hasApprovals(decisionsOf(promotion), promotion.votes)) return promotion
  const version = (await findVersion(em, promotion.versionId))!
  const { alias, requester } = promotion
  const results = await evaluateGates(em, { version, model, alias, requester }, evaluate)
  requireGatesMet(alias, results.decisions)
  return applyPromotion(em, context, { promotion, model, results, reason })
}
