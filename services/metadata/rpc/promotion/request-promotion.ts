import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import { v7 as uuidv7 } from 'uuid'
import {
  RequestPromotionRequestSchema,
  RequestPromotionResponseSchema,
  type RequestPromotionRequest,
  type RequestPromotionResponse,
} from '#gen/modelkeep/metadata/v1/promotion_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail, failField } from '#lib/errors/errors.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { rfc3339, statementTime } from '#lib/store/time.ts'
import { hasApprovals } from '../../domain/governance/approvals.ts'
import { decisionsToJson } from '../../domain/governance/gate-decision.ts'
import { rulesOf, shortestExpiry } from '../../domain/governance/gate-rules.ts'
import { parseAliasName } from '../../domain/names.ts'
import { parseExactVersionRef, type ExactVersionKey } from '../../domain/refs.ts'
import { parseRequiredReason } from '../../domain/text.ts'
import { findModel } from '../../store/models/find-model.ts'
import type { Model } from '../../store/models/model.ts'
import { lockNamespaceShared } from '../../store/models/namespace.ts'
import { findPending, findPromotion } from '../../store/governance/find-promotions.ts'
import { Promotion } from '../../store/governance/promotion.ts'
import type { Version } from '../../store/versions/version.ts'
import { failAliasMoved } from '../../changes/alias-moves.ts'
import { authorizeVersion, requireActive, requireVersionLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { outcomesOf, requireGatesMet } from '../../changes/gate-decisions.ts'
import { withEvaluation, type Evaluate } from '../../conditions/with-evaluation.ts'
import { presentPromotion } from './present-promotion.ts'
import { promotionEvent } from '../../changes/promotion-event.ts'
import { applyPromotion, evaluateGates, type GateResults } from '../../changes/promotion-steps.ts'
import { settleChange } from '../../changes/settle-change.ts'

interface PromotionInit {
  version: Version
  model: Model
  alias: string
  /** The number that the caller expects the alias to point at; 0 if it expects no alias. */
  expected: number
  requester: string
  reason: string
}

export async function requestPromotion(deps: RegistryDeps, request: RequestPromotionRequest, context: HandlerContext) {
  const key = parseExactVersionRef(request.version, 'version')
  const alias = parseAliasName(request.alias, 'alias')
  const expected = request.expectedNumber
  if (expected < 0) failField('expected_number', 'must not be negative; 0 means that the alias does not exist')
  const reason = parseRequiredReason(request.reason)
  await authorizeVersion(forkFor(deps.database, context.signal), context, key)
  const requester = accessOf(context).caller.principal
  const once = { context, request, input: RequestPromotionRequestSchema, output: RequestPromotionResponseSchema }
  const init = { key, alias, expected, requester, reason }
  const answer = await withEvaluation(deps.evaluator, context, (evaluate) =>
    answerOnce(deps.database, once, (em) => requestOnce(em, context, init, evaluate)),
  )

  await settleChange(deps.relay, context)
  return answer
}

async function requestOnce(
  em: EntityManager,
  context: HandlerContext,
  wanted: Omit<PromotionInit, 'version' | 'model'> & { key: ExactVersionKey },
  evaluate: Evaluate,
): Promise<RequestPromotionResponse> {
  const version = await requireVersionLock(em, wanted.key)
  const model = (await findModel(em, { id: version.model }))!
  requireActive(model)
  await lockNamespaceShared(em, model.namespace)
  const init = { ...wanted, version, model }
  const results = await evaluateGates(em, init, evaluate)
  await checkPreconditions(em, init, results)
  requireGatesMet(wanted.alias, results.decisions)
  const promotion = await record(em, context, init, results)
  const needsNoApproval = hasApprovals(results.decisions, [])
  const outcome = needsNoApproval
    ? await applyPromotion(em, context, { promotion, model, results, reason: wanted.reason })
    : promotion
  return create(RequestPromotionResponseSchema, { promotion: presentPromotion(outcome) })
}

/** Requires that the alias points where the caller expects, that it does not point at the version already, and that no
 * equal promotion is pending. */
async function checkPreconditions(
  em: EntityManager,
  { version, model, alias, expected }: PromotionInit,
  { current }: GateResults,
): Promise<void> {
  if ((current?.number ?? 0) !== expected) failAliasMoved(alias, expected, current?.number ?? 0)
  if (current?.id === version.id)
    failField('version', `must not be the version that alias "${alias}" already points at`)
  const pending = await findPending(em, { modelId: model.id, alias, versionId: version.id })
  if (!pending) return
  fail('PROMOTION_EXISTS', `promotion "${pending.id}" of this version to alias "${alias}" is already pending`, {
    promotion: pending.id,
  })
}

async function record(
  em: EntityManager,
  context: HandlerContext,
  { version, model, alias, requester, reason }: PromotionInit,
  { current, gates, decisions, evaluations }: GateResults,
): Promise<Promotion> {
  const expirySeconds = shortestExpiry(gates.map(rulesOf))
  const stored = decisionsToJson(decisions)
  const { id } = em.create(Promotion, {
    id: uuidv7(),
    namespace: model.namespace,
    modelId: model.id,
    model: model.name,
    alias,
    number: version.number,
    versionId: version.id,
    digest: version.digest,
    creator: version.creator,
    fromNumber: current?.number ?? 0,
    fromDigest: current?.digest ?? '',
    state: 'PENDING_APPROVAL',
    decisions: stored,
    requester,
    reason,
    requestTime: statementTime(),
    expireTime: statementTime(expirySeconds),
    messageBytes: Buffer.byteLength(JSON.stringify(stored)) + Buffer.byteLength(reason),
  })
  await em.flush()
  const promotion = (await findPromotion(em, id))!
  const details = {
    from: promotion.fromNumber,
    creator: promotion.creator,
    expire_time: rfc3339(promotion.expireTime),
    gates: outcomesOf(decisions),
    evaluations,
  }
  emit(em, context, promotionEvent(promotion, { type: 'promotion.requested.v1', reason, details }))
  return promotion
}
