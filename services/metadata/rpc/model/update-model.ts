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
import { transactionTime } from '#lib/store/time.ts'
import { parseLabels } from '../../domain/labels.ts'
import { parseMask } from '../../domain/masks.ts'
import { parseModelRef } from '../../domain/refs.ts'
import { parseDescription } from '../../domain/text.ts'
import type { Model } from '../../store/models/model.ts'
import { authorizeModel, requireEtag, requireModelLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { modelResource } from '../../changes/resources.ts'
import { presentModel } from './present-model.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { modelDigest } from '../../changes/state-digest.ts'
import { parseOwner } from '../../domain/text.ts'
import { reloadModel } from '../../store/models/find-model.ts'

export async function updateModel(deps: RegistryDeps, request: UpdateModelRequest, context: HandlerContext) {
  const key = parseModelRef(request.model, 'model')
  const fields = parseMask(request.updateMask, ['description', 'owner', 'labels'])
  const change: Partial<Pick<Model, 'description' | 'owner' | 'labels'>> = {
    ...(fields.has('description') && { description: parseDescription(request.description) }),
    ...(fields.has('owner') && { owner: parseOwner(request.owner) }),
    ...(fields.has('labels') && { labels: parseLabels(request.labels) }),
  }
  await authorizeModel(forkFor(deps.database, context.signal), context, key)
  const once = { context, request, input: UpdateModelRequestSchema, output: UpdateModelResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const model = await requireModelLock(em, key)
    requireEtag(model, request.etag)
    const beforeDigest = modelDigest(model)
    em.assign(model, { ...change, updateTime: transactionTime() })
    await em.flush()
    await reloadModel(em, model)
    emit(em, context, {
      type: 'model.updated.v1',
      resource: modelResource(model),
      beforeDigest,
      afterDigest: modelDigest(model),
      details: { fields: [...fields].sort() },
    })
    return create(UpdateModelResponseSchema, { model: presentModel(model) })
  })
  await settleChange(deps.relay, context)
  return answer
}
