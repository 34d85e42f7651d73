import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  UnarchiveModelRequestSchema,
  UnarchiveModelResponseSchema,
  type UnarchiveModelRequest,
} from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { answerOnce } from '#lib/store/requests.ts'
import type { RegistryDeps } from '../../deps.ts'
import { presentModel } from './present-model.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { authorizeStateChange, changeModelState } from '../../changes/model-state.ts'

export async function unarchiveModel(deps: RegistryDeps, request: UnarchiveModelRequest, context: HandlerContext) {
  const change = await authorizeStateChange(deps, request, context)
  const once = { context, request, input: UnarchiveModelRequestSchema, output: UnarchiveModelResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const row = await changeModelState(em, context, change, 'ACTIVE')
    return create(UnarchiveModelResponseSchema, { model: presentModel(row) })
  })
  await settleChange(deps.relay, context)
  return answer
}
