import { create, toBinary, toJson } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import { v7 as uuidv7 } from 'uuid'
import { EvaluationFactsSchema, Verdict, type EvaluationFacts } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import {
  CreateEvaluationRequestSchema,
  CreateEvaluationResponseSchema,
  type CreateEvaluationRequest,
} from '#gen/modelkeep/metadata/v1/evaluation_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { wordOf } from '#lib/values/words.ts'
import { parseEvaluationFacts } from '../../domain/governance/evaluation-facts.ts'
import { parseExactVersionRef, type ExactVersionKey } from '../../domain/refs.ts'
import { Evaluation, nextEvaluationTime } from '../../store/governance/evaluation.ts'
import type { Version } from '../../store/versions/version.ts'
import { authorizeVersion, requireModelLock, requireVersionLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { evaluationResource } from '../../changes/resources.ts'
import { presentEvaluation } from './present-evaluation.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { digestOf } from '../../changes/state-digest.ts'

export async function createEvaluation(deps: RegistryDeps, request: CreateEvaluationRequest, context: HandlerContext) {
  const key = parseExactVersionRef(request.version, 'version')
  const facts = parseEvaluationFacts(request.facts)
  await authorizeVersion(forkFor(deps.database, context.signal), context, key)
  const once = { context, request, input: CreateEvaluationRequestSchema, output: CreateEvaluationResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const version = await lockEvaluated(em, key)
    const evaluation = await insert(em, context, version, facts)
    return create(CreateEvaluationResponseSchema, { evaluation: presentEvaluation(evaluation, version) })
  })
  await settleChange(deps.relay, context)
  return answer
}

/** Locks the model and returns the version. A missing model has its own error. */
async function lockEvaluated(em: EntityManager, key: ExactVersionKey): Promise<Version> {
  if (!('id' in key)) await requireModelLock(em, key)
  return requireVersionLock(em, key)
}

async function insert(
  em: EntityManager,
  context: HandlerContext,
  version: Version,
  facts: EvaluationFacts,
): Promise<Evaluation> {
  const evaluation = em.create(Evaluation, {
    id: uuidv7(),
    version: version.id,
    suite: facts.suite,
    facts: toJson(EvaluationFactsSchema, facts),
    messageBytes: toBinary(EvaluationFactsSchema, facts).length,
    creator: accessOf(context).caller.principal,
    createTime: nextEvaluationTime(version.id),
  })
  await em.flush()
  await em.refresh(evaluation)
  emit(em, context, {
    type: 'evaluation.created.v1',
    resource: evaluationResource(evaluation.id, version),
    afterDigest: digestOf(evaluation.facts as object),
    details: {
      version_id: version.id,
      number: version.number,
      suite: facts.suite,
      verdict: wordOf(Verdict, facts.verdict),
      dataset_digest: facts.dataset?.digest ?? '',
      report_digest: facts.reportDigest,
    },
  })
  return evaluation
}
