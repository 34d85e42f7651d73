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
import * as store from '../../store/governance/evaluation-rows.ts'
import type { VersionRow } from '../../store/versions/version-rows.ts'
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
    const version = await lockMeasured(em, key)
    const row = await writeEvaluation(em, context, version, facts)
    return create(CreateEvaluationResponseSchema, { evaluation: presentEvaluation(row) })
  })
  await settleChange(deps.relay, context)
  return answer
}

/** The version under its model's lock; a missing model is told apart. */
async function lockMeasured(em: EntityManager, key: ExactVersionKey): Promise<VersionRow> {
  if (!('id' in key)) await requireModelLock(em, key)
  return requireVersionLock(em, key)
}

async function writeEvaluation(
  em: EntityManager,
  context: HandlerContext,
  version: VersionRow,
  facts: EvaluationFacts,
): Promise<store.EvaluationRow> {
  const id = uuidv7()
  await store.insertEvaluation(em, {
    id,
    versionId: version.id,
    suite: facts.suite,
    facts: toJson(EvaluationFactsSchema, facts),
    messageBytes: toBinary(EvaluationFactsSchema, facts).length,
    creator: accessOf(context).caller.principal,
  })
  const row = (await store.findEvaluation(em, id))!
  emit(em, context, {
    type: 'evaluation.created.v1',
    resource: evaluationResource(row),
    afterDigest: digestOf(row.facts as object),
    details: {
      version_id: version.id,
      number: version.number,
      suite: facts.suite,
      verdict: wordOf(Verdict, facts.verdict),
      dataset_digest: facts.dataset?.digest ?? '',
      report_digest: facts.reportDigest,
    },
  })
  return row
}
