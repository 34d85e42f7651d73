import type { HandlerContext } from '@connectrpc/connect'
import type { GetModelRequest } from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { forkFor } from '#lib/store/database.ts'
import { parseModelRef } from '../../domain/refs.ts'
import type { RegistryDeps } from '../../deps.ts'
import { presentModel } from './present-model.ts'
import { requireModel } from '../../changes/checks.ts'

export async function getModel({ database }: RegistryDeps, request: GetModelRequest, context: HandlerContext) {
  const key = parseModelRef(request.model, 'model')
  return { model: presentModel(await requireModel(forkFor(database, context.signal), context, key)) }
}
