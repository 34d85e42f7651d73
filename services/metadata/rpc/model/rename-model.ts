import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  RenameModelRequestSchema,
  RenameModelResponseSchema,
  type RenameModelRequest,
} from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { forkFor } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parseModelName } from '../../domain/names.ts'
import { parseModelRef } from '../../domain/refs.ts'
import { parseReason } from '../../domain/text.ts'
import * as changes from '../../store/models/model-changes.ts'
import { findModel } from '../../store/models/model-rows.ts'
import { authorizeModel, failNameTaken, requireEtag, requireModelLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { modelResource } from '../../changes/resources.ts'
import { presentModel } from './present-model.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { modelDigest } from '../../changes/state-digest.ts'

export async function renameModel(deps: RegistryDeps, request: RenameModelRequest, context: HandlerContext) {
  const key = parseModelRef(request.model, 'model')
  const name = parseModelName(request.newName, 'new_name')
  const reason = parseReason(request.reason)
  await authorizeModel(forkFor(deps.database, context.signal), context, key)
  const once = { context, request, input: RenameModelRequestSchema, output: RenameModelResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const before = await requireModelLock(em, key)
    requireEtag(before, request.etag)
    if (before.name === name) return create(RenameModelResponseSchema, { model: presentModel(before) })
    if (!(await changes.renameModel(em, before, name))) failNameTaken(before.namespace, name)
    const row = (await findModel(em, { id: before.id }))!
    emit(em, context, {
      type: 'model.renamed.v1',
      resource: modelResource(row),
      reason,
      beforeDigest: modelDigest(before),
      afterDigest: modelDigest(row),
      details: { from: before.name, to: name },
    })
    return create(RenameModelResponseSchema, { model: presentModel(row) })
  })
  await settleChange(deps.relay, context)
  return answer
}
