import { create, fromJson } from '@bufbuild/protobuf'
import { EvaluationFactsSchema, EvaluationSchema, type Evaluation } from '#gen/modelkeep/metadata/v1/evaluation_pb.ts'
import { toTimestamp } from '#lib/store/time.ts'
import type { EvaluationRow } from '../../store/governance/evaluation-rows.ts'

export function presentEvaluation(row: EvaluationRow): Evaluation {
  return create(EvaluationSchema, {
    id: row.id,
    versionId: row.version_id,
    modelId: row.model_id,
    namespace: row.namespace,
    model: row.model,
    number: row.number,
    digest: row.digest,
    facts: fromJson(EvaluationFactsSchema, row.facts),
    creator: row.creator,
    createTime: toTimestamp(row.create_time),
  })
}
