import type { JsonValue } from '@bufbuild/protobuf'
import { defineEntity, p } from '@mikro-orm/postgresql'
import { timeColumn } from '#lib/store/time.ts'
import type { PromotionStateName } from '../../domain/governance/promotion-state.ts'

/** A promotion. Its row is never deleted, even when its version or model is. */
const PromotionSchema = defineEntity({
  name: 'Promotion',
  tableName: 'promotion',
  properties: {
    id: p.uuid().primary(),
    namespace: p.text(),
    modelId: p.uuid(),
    model: p.text(),
    alias: p.text(),
    number: p.integer(),
    versionId: p.uuid(),
    digest: p.text(),
    /** The creator of the version, who may not approve. */
    creator: p.text(),
    fromNumber: p.integer(),
    fromDigest: p.text(),
    state: p.text().$type<PromotionStateName>(),
    /** A list of GateDecision as JSON, without `approvals_given`. */
    decisions: p.json<JsonValue>(),
    requester: p.text(),
    reason: p.text(),
    requestTime: timeColumn(),
    expireTime: timeColumn(),
    closer: p.text().default(''),
    closeReason: p.text().default(''),
    closeTime: timeColumn().nullable(),
    /** Estimated size of the promotion in an answer, in bytes. */
    messageBytes: p.integer(),
  },
  indexes: [
    { name: 'promotion_namespace_request_time_id_index', properties: ['namespace', 'requestTime', 'id'] },
    { name: 'promotion_model_id_request_time_id_index', properties: ['modelId', 'requestTime', 'id'] },
    { name: 'promotion_state_expire_time_index', properties: ['state', 'expireTime'] },
    {
      name: 'promotion_namespace_state_request_time_id_index',
      properties: ['namespace', 'state', 'requestTime', 'id'],
    },
    { name: 'promotion_model_id_state_request_time_id_index', properties: ['modelId', 'state', 'requestTime', 'id'] },
  ],
  checks: [
    {
      name: 'promotion_state_check',
      expression: `state in ('PENDING_APPROVAL', 'APPLIED', 'REJECTED', 'EXPIRED', 'WITHDRAWN', 'VOIDED')`,
    },
  ],
})
export class Promotion extends PromotionSchema.class {}
PromotionSchema.setClass(Promotion)

const PromotionVoteSchema = defineEntity({
  name: 'PromotionVote',
  tableName: 'promotion_vote',
  properties: {
    promotion: () => p.manyToOne(Promotion).mapToPk().primary().deleteRule('no action').updateRule('no action'),
    principal: p.text().primary(),
    approved: p.boolean(),
    reason: p.text(),
    voteTime: timeColumn(),
    /** Whether the vote counted when the promotion was closed. Has no meaning before. */
    counted: p.boolean().default(true),
  },
})
export class PromotionVote extends PromotionVoteSchema.class {}
PromotionVoteSchema.setClass(PromotionVote)
