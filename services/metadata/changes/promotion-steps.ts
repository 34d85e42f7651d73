// Steps that several promotion RPCs share: authorize, lock, evaluate the gates, apply.
import type { HandlerContext } from '@connectrpc/connect'
import type { GateDecision } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { findGuardingGates } from '../store/governance/find-gates.ts'
import type { Gate } from '../store/governance/gate.ts'
import { lockModel } from '../store/models/find-model.ts'
import type { Model } from '../store/models/model.ts'
import { lockNamespaceShared } from '../store/models/namespace.ts'
import { findPromotion } from '../store/governance/find-promotions.ts'
import type { Promotion } from '../store/governance/promotion.ts'
import type { Version } from '../store/versions/version.ts'
import { moveAliases } from './alias-moves.ts'
import { closePromotion } from './close-promotion.ts'
import { decideGates, expressionsOf, outcomesOf } from './gate-decisions.ts'
import type { Evaluate } from '../conditions/with-evaluation.ts'
import { findEvidence, type Candidate } from './gate-evidence.ts'
import { decisionsToJson } from '../domain/governance/gate-decision.ts'
import { rulesOf } from '../domain/governance/gate-rules.ts'
import { stateOf } from '../domain/governance/promotion-state.ts'
import { promotionEvent } from './promotion-event.ts'

/** Finds the promotion and requires the RPC's permission in its namespace. */
export async function authorizePromotion(em: EntityManager, context: HandlerContext, id: string): Promise<Promotion> {
  const promotion = (await findPromotion(em, id)) ?? failNoPromotion(id)
  accessOf(context).require(promotion.namespace, () => failNoPromotion(id))
  return promotion
}

/** Locks the model and the gates of a promotion, and returns both. Fails with PROMOTION_CLOSED unless it is pending. */
export async function requirePending(
  em: EntityManager,
  { id, modelId, namespace }: Promotion,
): Promise<{ promotion: Promotion; model: Model }> {
  const model = await lockModel(em, { id: modelId })
  await lockNamespaceShared(em, namespace)
  const promotion = (await findPromotion(em, id))!
  const state = stateOf(promotion)
  if (model && state === 'PENDING_APPROVAL') return { promotion, model }
  fail('PROMOTION_CLOSED', `promotion "${id}" is closed; its state is ${state}`, { promotion: id, state })
}

export interface GateResults {
  /** The version that the alias points at; undefined if the alias does not exist. */
  current: Version | undefined
  gates: Gate[]
  decisions: GateDecision[]
  /** Ids of the evaluations that the conditions could see. */
  evaluations: string[]
}

/** Evaluates the gates that guard the alias against the candidate. */
export async function evaluateGates(em: EntityManager, candidate: Candidate, evaluate: Evaluate): Promise<GateResults> {
  const { model, alias } = candidate
  const gates = await findGuardingGates(em, { namespace: model.namespace, modelId: model.id, alias })
  const evidence = await findEvidence(em, candidate)
  const outcomes = evaluate(expressionsOf(gates.map(rulesOf)), evidence)
  const { current, evaluations } = evidence
  return { current, gates, decisions: decideGates(gates, outcomes), evaluations }
}

/** Closes the promotion as APPLIED and moves the alias, in the transaction of the deciding request or approval. */
export async function applyPromotion(
  em: EntityManager,
  context: HandlerContext,
  { promotion, model, results, reason }: { promotion: Promotion; model: Model; results: GateResults; reason: string },
): Promise<Promotion> {
  const { id, alias, number, fromNumber: from, votes } = promotion
  const { decisions, evaluations } = results
  em.assign(promotion, { decisions: decisionsToJson(decisions) })
  await closePromotion(em, promotion, { state: 'APPLIED', closer: accessOf(context).caller.principal, reason })
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
