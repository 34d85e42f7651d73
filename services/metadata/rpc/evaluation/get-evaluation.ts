import type { HandlerContext } from '@connectrpc/connect'
import type { GetEvaluationRequest } from '#gen/modelkeep/metadata/v1/evaluation_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { parseUuid } from '#lib/values/ids.ts'
import { forkFor } from '#lib/store/database.ts'
import { Evaluation } from '../../store/governance/evaluation.ts'
import { findVersion } from '../../store/versions/find-version.ts'
import type { RegistryDeps } from '../../deps.ts'
import { presentEvaluation } from './present-evaluation.ts'

export async function getEvaluation(
  { database }: RegistryDeps,
  request: GetEvaluationRequest,
  context: HandlerContext,
) {
  const id = parseUuid(request.id, 'id')
  const em = forkFor(database, context.signal)
  const evaluation = await em.findOne(Evaluation, id)
  const version = evaluation && (await findVersion(em, evaluation.version))
  if (!version) failNoEvaluation(id)
  accessOf(context).require(version.namespace, () => failNoEvaluation(id))
  return { evaluation: presentEvaluation(evaluation, version) }
}

function failNoEvaluation(id: string): never {
  fail('EVALUATION_NOT_FOUND', `evaluation "${id}" not found`, { evaluation: id })
}
