// Steps that several promotion RPCs share: authorize, lock, evaluate the gates, apply.
import type { HandlerContext } from '@connectrpc/connect'
import type { GateDecision } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { findGuardingGates, lockGatesShared, type GateRow } from '../store/governance/gate-rows.ts'
import { lockModel } from '../store/models/find-model.ts'
import type { Model } from '../store/models/model.ts'
import {
  closePromotion,
  findPromotion,
  recordDecisions,
  type PromotionRow,
} from '../store/governance/promotion-rows.ts'
import type { Version } from '../store/versions/version.ts'
import { moveAliases } from './alias-moves.ts'
import { decideGates, outcomesOf } from './gate-decisions.ts'
import { findEvidence, type Candidate } from './gate-evidence.ts'
import { stateOf } from '../domain/governance/promotion-state.ts'
import { promotionEvent } from './promotion-event.ts'

/** Finds the promotion and requires the RPC's permission in its namespace. */
export async function authorizePromotion(
  em: EntityManager,
  context: HandlerContext,
  id: string,
): Promise<PromotionRow> {
  const row = (await findPromotion(em, id)) ?? failNoPromotion(id)
  accessOf(context).require(row.namespace, () => failNoPromotion(id))
  return row
}

/** Locks the model and the gates of a promotion, and returns both. Fails with PROMOTION_CLOSED unless it is pending. */
export async function requirePending(
  em: EntityManager,
  { id, model_id, namespace }: PromotionRow,
): Promise<{ promotion: PromotionRow; model: Model }> {
  const model = await lockModel(em, { id: model_id })
  await lockGatesShared(em, namespace)
  const promotion = (await findPromotion(em, id))!
  const state = stateOf(promotion)
  if (model && state === 'PENDING_APPROVAL') return { promotion, model }
  fail('PROMOTION_CLOSED', `promotion "${id}" is closed; its state is ${state}`, { promotion: id, state })
}

export interface GateResults {
  /** The version that the alias points at; undefined if the alias does not exist. */
  current: Version | undefined
  gates: GateRow[]
  decisions: GateDecision[]
  /** Ids of the evaluations that the conditions could see. */
  evaluations: string[]
}

/** Evaluates the gates that guard the alias against the candidate. */
export async function evaluateGates(em: EntityManager, candidate: Candidate): Promise<GateResults> {
  const { model, alias } = candidate
  const gates = await findGuardingGates(em, { namespace: model.namespace, modelId: model.id, alias })
  const { current, variables, evaluations } = await findEvidence(em, candidate)
  return { current, gates, decisions: decideGates(gates, variables), evaluations }
}

/** Closes the promotion as APPLIED and moves the alias, in the transaction of the deciding request or approval. */
export async function applyPromotion(
  em: EntityManager,
  context: HandlerContext,
  {
    promotion,
    model,
    results,
    reason,
  }: { promotion: PromotionRow; model: Model; results: GateResults; reason: string },
): Promise<PromotionRow> {
  const { id, alias, number, from_number: from, votes } = promotion
  const { decisions, evaluations } = results
  await recordDecisions(em, id, decisions)
  await closePromotion(em, id, { state: 'APPLIED', closer: accessOf(context).caller.principal, reason })
  const approvers = votes.filter(({ approved, counts }) => approved && counts).map(({ principal }) => principal)
  const details = { from, gates: outcomesOf(decisions), evaluations, approvers }
  emit(em, context, promotionEvent(promotion, { type: 'promotion.applied.v1', reason, details }))
  const targets = [{ name: alias, number, expected: from }]
  await moveAliases(em, context, { model, targets, reason: promotion.reason, promotionId: id })
  return (await findPromotion(em, id))!
}

export function failNoPromotion(promotion: string): never {
  fail('PROMOTION_NOT_FOUND', `promotion "${promotion}" not found`, { promotion })
}
