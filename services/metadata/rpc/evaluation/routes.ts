import type { ServiceImpl } from '@connectrpc/connect'
import type { EvaluationService } from '#gen/modelkeep/metadata/v1/evaluation_service_pb.ts'
import type { RegistryDeps } from '../../deps.ts'
import { createEvaluation } from './create-evaluation.ts'
import { getEvaluation } from './get-evaluation.ts'
import { listEvaluations } from './list-evaluations.ts'

export function evaluationRoutes(deps: RegistryDeps): ServiceImpl<typeof EvaluationService> {
  return {
    createEvaluation: (request, context) => createEvaluation(deps, request, context),
    getEvaluation: (request, context) => getEvaluation(deps, request, context),
    listEvaluations: (request, context) => listEvaluations(deps, request, context),
  }
}
