import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  UpdateModelRequestSchema,
  UpdateModelResponseSchema,
  type UpdateModelRequest,
} from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { forkFor } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parseLabels } from '../../domain/labels.ts'
import { parseMask } from '../../domain/masks.ts'
import { parseModelRef } from '../../domain/refs.ts'
import { parseDescription } from '../../domain/text.ts'
import { updateModel as storeModel } from '../../store/models/model-changes.ts'
import { findModel, type ModelRow } from '../../store/models/model-rows.ts'
import { authorizeModel, requireEtag, requireModelLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { modelResource } from '../../changes/resources.ts'
import { presentModel } from './present-model.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { modelDigest } from '../../changes/state-digest.ts'
import { parseOwner } from '../../domain/text.ts'

export async function updateModel(deps: RegistryDeps, request: UpdateModelRequest, context: HandlerContext) {
  const key = parseModelRef(request.model, 'model')
  const fields = parseMask(request.updateMask, ['description', 'owner', 'labels'])
  const change: Partial<Pick<ModelRow, 'description' | 'owner' | 'labels'>> = {
    ...(fields.has('description') && { description: parseDescription(request.description) }),
    ...(fields.has('owner') && { owner: parseOwner(request.owner) }),
    ...(fields.has('labels') && { labels: parseLabels(request.labels) }),
  }
  await authorizeModel(forkFor(deps.database, context.signal), context, key)
  const once = { context, request, input: UpdateModelRequestSchema, output: UpdateModelResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const before = await requireModelLock(em, key)
    requireEtag(before, request.etag)
    await storeModel(em, before.id, { ...before, ...change })
    const row = (await findModel(em, { id: before.id }))!
    emit(em, context, {
      type: 'model.updated.v1',
      resource: modelResource(row),
      beforeDigest: modelDigest(before),
      afterDigest: modelDigest(row),
      details: { fields: [...fields].sort() },
    })
    return create(UpdateModelResponseSchema, { model: presentModel(row) })
  })
  await settleChange(deps.relay, context)
  return answer
}
