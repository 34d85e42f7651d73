// What approvers say: who may, what it does, and how a promotion is taken back.
import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import { Permission } from '#gen/modelkeep/common/v1/access_pb.ts'
import {
  ApprovePromotionRequestSchema,
  ApprovePromotionResponseSchema,
  RejectPromotionRequestSchema,
  RejectPromotionResponseSchema,
  WithdrawPromotionRequestSchema,
  WithdrawPromotionResponseSchema,
  type ApprovePromotionRequest,
  type RejectPromotionRequest,
  type WithdrawPromotionRequest,
} from '#gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { accessOf, holds } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { parseUuid } from '#lib/values/ids.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { asks, hasApprovals } from '../../domain/approvals.ts'
import { parseReason, parseRequiredReason } from '../../domain/text.ts'
import type { ModelRow } from '../../store/models/model-rows.ts'
import { closePromotion, findPromotion, insertVote, type PromotionRow } from '../../store/governance/promotion-rows.ts'
import { findVersionById } from '../../store/versions/version-rows.ts'
import { requireActive } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { requireMet } from '../../changes/gate-decisions.ts'
import { presentPromotion } from '../present-governance.ts'
import { promotionEvent } from '../../changes/promotion-ends.ts'
import { applyPromotion, authorizePromotion, judge, requireWaiting } from '../../changes/promotion-steps.ts'
import { settleChange } from '../../changes/settle-change.ts'

export async function approvePromotion(deps: RegistryDeps, request: ApprovePromotionRequest, context: HandlerContext) {
  const id = parseUuid(request.id, 'id')
  const reason = parseRequiredReason(request.reason)
  const found = await authorizePromotion(forkFor(deps.database, context.signal), context, id)
  const once = { context, request, input: ApprovePromotionRequestSchema, output: ApprovePromotionResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const { promotion, model } = await requireWaiting(em, found)
    requireActive(model)
    const principal = requireVoter(context, promotion)
    await insertVote(em, id, { principal, approved: true, reason })
    const gates = promotion.decisions.map(({ gateId, revision }) => ({ id: gateId, revision }))
    emit(em, context, promotionEvent(promotion, { type: 'promotion.approved.v1', reason, details: { gates } }))
    const row = await settle(em, context, { id, model, reason })
    return create(ApprovePromotionResponseSchema, { promotion: presentPromotion(row) })
  })
  await settleChange(deps.relay, context)
  return answer
}

/** Applies it where that was the last approval it needed. */
async function settle(
  em: EntityManager,
  context: HandlerContext,
  { id, model, reason }: { id: string; model: ModelRow; reason: string },
): Promise<PromotionRow> {
  const promotion = (await findPromotion(em, id))!
  if (!hasApprovals(promotion.decisions, promotion.votes)) return promotion
  const version = (await findVersionById(em, promotion.version_id))!
  const { alias, requester } = promotion
  const verdict = await judge(em, { version, model, alias, requester })
  requireMet(alias, verdict.decisions)
  return applyPromotion(em, context, { promotion, model, verdict, reason })
}

export async function rejectPromotion(deps: RegistryDeps, request: RejectPromotionRequest, context: HandlerContext) {
  const id = parseUuid(request.id, 'id')
  const reason = parseRequiredReason(request.reason)
  const found = await authorizePromotion(forkFor(deps.database, context.signal), context, id)
  const once = { context, request, input: RejectPromotionRequestSchema, output: RejectPromotionResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const { promotion } = await requireWaiting(em, found)
    const principal = requireVoter(context, promotion)
    await insertVote(em, id, { principal, approved: false, reason })
    await closePromotion(em, id, { state: 'REJECTED', closer: principal, reason })
    emit(em, context, promotionEvent(promotion, { type: 'promotion.rejected.v1', reason }))
    return create(RejectPromotionResponseSchema, { promotion: presentPromotion((await findPromotion(em, id))!) })
  })
  await settleChange(deps.relay, context)
  return answer
}

/** The caller, who is none of those whose work it is, and whom a gate asks. */
function requireVoter(context: HandlerContext, promotion: PromotionRow): string {
  const { principal } = accessOf(context).caller
  const { id, requester, creator, votes, decisions } = promotion
  if (principal === requester) failVoter(id, 'REQUESTER', 'the requester cannot approve or reject their own promotion')
  if (principal === creator) failVoter(id, 'CREATOR', 'the creator of a version cannot approve or reject its promotion')
  if (votes.some((vote) => vote.principal === principal))
    failVoter(id, 'VOTED', 'you have already approved this promotion')
  if (decisions.some((gate) => asks(gate, principal))) return principal
  failVoter(id, 'NOT_ASKED', 'no gate of this promotion accepts your approval')
}

function failVoter(promotion: string, because: string, message: string): never {
  fail('APPROVAL_NOT_ALLOWED', message, { promotion, because })
}

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
    const { promotion } = await requireWaiting(em, found)
    await closePromotion(em, id, { state: 'WITHDRAWN', closer, reason })
    emit(em, context, promotionEvent(promotion, { type: 'promotion.withdrawn.v1', reason }))
    return create(WithdrawPromotionResponseSchema, { promotion: presentPromotion((await findPromotion(em, id))!) })
  })
  await settleChange(deps.relay, context)
  return answer
}

function requireOwner(context: HandlerContext, { namespace, requester }: PromotionRow): string {
  const { caller } = accessOf(context)
  if (caller.principal === requester || holds(caller, Permission.ADMINISTER, namespace)) return caller.principal
  const metadata = { permission: 'ADMINISTER', namespace }
  fail(
    'PERMISSION_DENIED',
    `only "${requester}" or an administrator of namespace "${namespace}" can withdraw this promotion`,
    metadata,
  )
}
