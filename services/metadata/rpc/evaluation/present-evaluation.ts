import { create, fromJson } from '@bufbuild/protobuf'
import { EvaluationFactsSchema, EvaluationSchema, type Evaluation } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { toTimestamp } from '#lib/store/time.ts'
import type { Evaluation as StoredEvaluation } from '../../store/governance/evaluation.ts'
import type { Version } from '../../store/versions/version.ts'

export function presentEvaluation(evaluation: StoredEvaluation, version: Version): Evaluation {
  return create(EvaluationSchema, {
    id: evaluation.id,
    versionId: version.id,
    modelId: version.model,
    namespace: version.namespace,
    model: version.modelName,
    number: version.number,
    digest: version.digest,
    facts: fromJson(EvaluationFactsSchema, evaluation.facts),
    creator: evaluation.creator,
    createTime: toTimestamp(evaluation.createTime),
  })
}
