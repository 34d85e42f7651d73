import { create } from '@bufbuild/protobuf'
import type { GateDecision } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { PromotionSchema, PromotionState, type Promotion } from '#gen/modelkeep/metadata/v1/promotion_pb.ts'
import { toTimestamp } from '#lib/store/time.ts'
import { countApprovals } from '../../domain/governance/approvals.ts'
import type { PromotionRow } from '../../store/governance/promotion-rows.ts'
import { stateOf } from '../../domain/governance/promotion-state.ts'

export function presentPromotion(row: PromotionRow): Promotion {
  return create(PromotionSchema, {
    id: row.id,
    modelId: row.model_id,
    namespace: row.namespace,
    model: row.model,
    alias: row.alias,
    number: row.number,
    versionId: row.version_id,
    digest: row.digest,
    fromNumber: row.from_number,
    fromDigest: row.from_digest,
    state: PromotionState[stateOf(row)],
    requester: row.requester,
    reason: row.reason,
    requestTime: toTimestamp(row.request_time),
    expireTime: toTimestamp(row.expire_time),
    decisions: row.decisions.map((decision) => withApprovals(decision, row)),
    votes: row.votes.map((vote) => ({ ...vote, voteTime: toTimestamp(vote.vote_time) })),
    closer: row.closer,
    closeReason: row.close_reason,
    ...(row.close_time !== null && { closeTime: toTimestamp(row.close_time) }),
  })
}

function withApprovals(decision: GateDecision, { votes }: PromotionRow): GateDecision {
  return { ...decision, approvalsGiven: countApprovals(decision, votes) }
}
