import { create } from '@bufbuild/protobuf'
import type { GateDecision } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { PromotionSchema, PromotionState, type Promotion } from '#gen/modelkeep/metadata/v1/promotion_pb.ts'
import { toTimestamp } from '#lib/store/time.ts'
import { countApprovals } from '../../domain/governance/approvals.ts'
import { decisionsOf } from '../../domain/governance/gate-decision.ts'
import { stateOf } from '../../domain/governance/promotion-state.ts'
import type { Promotion as StoredPromotion } from '../../store/governance/promotion.ts'

export function presentPromotion(promotion: StoredPromotion): Promotion {
  return create(PromotionSchema, {
    id: promotion.id,
    modelId: promotion.modelId,
    namespace: promotion.namespace,
    model: promotion.modelName,
    alias: promotion.alias,
    number: promotion.number,
    versionId: promotion.versionId,
    digest: promotion.digest,
    fromNumber: promotion.fromNumber,
    fromDigest: promotion.fromDigest,
    state: PromotionState[stateOf(promotion)],
    requester: promotion.requester,
    reason: promotion.reason,
    requestTime: toTimestamp(promotion.requestTime),
    expireTime: toTimestamp(promotion.expireTime),
    decisions: decisionsOf(promotion).map((decision) => withApprovals(decision, promotion)),
    votes: promotion.votes.map((vote) => ({ ...vote, voteTime: toTimestamp(vote.voteTime) })),
    closer: promotion.closer,
    closeReason: promotion.closeReason,
    ...(promotion.closeTime && { closeTime: toTimestamp(promotion.closeTime) }),
  })
}

function withApprovals(decision: GateDecision, { votes }: StoredPromotion): GateDecision {
  return { ...decision, approvalsGiven: countApprovals(decision, votes) }
}
