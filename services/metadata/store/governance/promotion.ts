import type { JsonValue } from '@bufbuild/protobuf'
import { defineEntity, p } from '@mikro-orm/postgresql'
import { timeColumn } from '#lib/store/time.ts'
import type { PromotionStateName } from '../../domain/governance/promotion-state.ts'

/** A vote as its promotion has it. */
interface Vote {
  principal: string
  approved: boolean
  reason: string
  voteTime: string
  /** Whether the principal may approve now or, in a closed promotion, could when it was closed. */
  counts: boolean
}

/** SQL of the columns of a promotion from which the expressions below are computed. */
type Columns = Record<'id' | 'namespace' | 'modelId' | 'model' | 'state' | 'expireTime', string>

/** The present name of the model, or the last name of a deleted one. */
export function presentModelName({ modelId, model }: Columns): string {
  return `coalesce((select m.name from model m where m.id = ${modelId}), ${model})`
}

/** Whether the promotion has expired but is not closed yet. */
export function isOverdue({ state, expireTime }: Columns): string {
  return `${state} = 'PENDING_APPROVAL' and ${expireTime} <= clock_timestamp()`
}

/** The votes as a JSON list, in their order. */
export function votesOf({ id, namespace, state }: Columns): string {
  const mayApprove = `exists (select from role_binding r where r.principal = v.principal
    and r.namespace in (${namespace}, '*') and r.role in ('APPROVER', 'ADMIN'))`
  return `(select coalesce(json_agg(json_build_object('principal', v.principal, 'approved', v.approved,
      'reason', v.reason, 'voteTime', v.vote_time::text,
      'counts', case ${state} when 'PENDING_APPROVAL' then ${mayApprove} else v.counted end)
      order by v.vote_time), '[]')
    from promotion_vote v where v.promotion_id = ${id})`
}

/** A promotion. Its row is never deleted, even when its version or model is. */
const PromotionSchema = defineEntity({
  name: 'Promotion',
  tableName: 'promotion',
  properties: {
    id: p.uuid().primary(),
    namespace: p.text(),
    modelId: p.uuid(),
    /** The name of the model when the promotion was requested. */
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
    decisions: p.json<JsonValue[]>(),
    requester: p.text(),
    reason: p.text(),
    requestTime: timeColumn(),
    expireTime: timeColumn(),
    closer: p.text().default(''),
    closeReason: p.text().default(''),
    closeTime: timeColumn().nullable(),
    /** Estimated size of the promotion in an answer, in bytes. */
    messageBytes: p.integer(),
    /** Present name of the model, or the last name of a deleted one. Loaded on demand. */
    modelName: p
      .text()
      .formula((columns) => presentModelName(columns as Columns))
      .lazy(),
    /** Whether the promotion has expired but is not closed yet. Loaded on demand. */
    overdue: p
      .boolean()
      .formula((columns) => isOverdue(columns as Columns))
      .lazy(),
    /** Votes in their order. Loaded on demand. */
    votes: p
      .json<Vote[]>()
      .formula((columns) => votesOf(columns as Columns))
      .lazy(),
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
