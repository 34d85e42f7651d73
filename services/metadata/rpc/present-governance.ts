// Gates and promotions as messages, and as events name them.
import { create } from '@bufbuild/protobuf'
import {
  GateRevisionSchema,
  GateSchema,
  type Gate,
  type GateDecision,
  type GateRevision,
} from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { PromotionSchema, PromotionState, type Promotion } from '#gen/modelkeep/metadata/v1/promotion_pb.ts'
import { toTimestamp } from '#lib/store/time.ts'
import { countsFor } from '../domain/approvals.ts'
import type { GateRevisionRow } from '../store/governance/gate-revisions.ts'
import type { GateRow } from '../store/governance/gate-rows.ts'
import type { PromotionRow } from '../store/governance/promotion-rows.ts'
import { etagOf } from './present.ts'

export function presentGate(row: GateRow): Gate {
  return create(GateSchema, {
    id: row.id,
    namespace: row.namespace,
    name: row.name,
    modelId: row.model_id ?? '',
    model: row.model ?? '',
    rules: row.rules,
    revision: row.revision,
    creator: row.creator,
    createTime: toTimestamp(row.create_time),
    updateTime: toTimestamp(row.update_time),
    etag: etagOf(row),
  })
}

export function presentRevision(row: GateRevisionRow): GateRevision {
  return create(GateRevisionSchema, {
    gateId: row.gate_id,
    revision: row.revision,
    ...(row.rules && { rules: row.rules }),
    changer: row.changer,
    reason: row.reason,
    changeTime: toTimestamp(row.change_time),
  })
}

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

/** One whose time is over is told as such at once, and made so a little later. */
export function stateOf({ state, overdue }: PromotionRow): PromotionRow['state'] {
  return overdue ? 'EXPIRED' : state
}

function withApprovals(decision: GateDecision, { votes }: PromotionRow): GateDecision {
  return { ...decision, approvalsGiven: countsFor(decision, votes) }
}

export function gateResource({ id, namespace, name }: Pick<GateRow, 'id' | 'namespace' | 'name'>) {
  return { type: 'gate', id, namespace, name: `${namespace}/${name}` }
}

export function promotionResource(row: Pick<PromotionRow, 'id' | 'namespace' | 'model' | 'alias' | 'digest'>) {
  const { id, namespace, model, alias, digest } = row
  return { type: 'promotion', id, namespace, name: `${namespace}/${model}@${alias}`, digest }
}
