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
import { authorizeModel, failModelExists, requireEtag, requireModelLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { modelResource } from '../../changes/resources.ts'
import { presentModel } from './present-model.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { modelDigest } from '../../changes/state-digest.ts'
import { reloadModel } from '../../store/models/find-model.ts'
import { ModelRedirect, NAME_CONSTRAINT, type Model } from '../../store/models/model.ts'
import { flushUnique } from '../../store/unique.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { transactionTime } from '#lib/store/time.ts'
import { nameKey } from '../../domain/names.ts'

export async function renameModel(deps: RegistryDeps, request: RenameModelRequest, context: HandlerContext) {
  const key = parseModelRef(request.model, 'model')
  const name = parseModelName(request.newName, 'new_name')
  const reason = parseReason(request.reason)
  await authorizeModel(forkFor(deps.database, context.signal), context, key)
  const once = { context, request, input: RenameModelRequestSchema, output: RenameModelResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const model = await requireModelLock(em, key)
    requireEtag(model, request.etag)
    const former = model.name
    if (former === name) return create(RenameModelResponseSchema, { model: presentModel(await reloadModel(em, model)) })
    const beforeDigest = modelDigest(model)
    await rename(em, model, name)
    emit(em, context, {
      type: 'model.renamed.v1',
      resource: modelResource(model),
      reason,
      beforeDigest,
      afterDigest: modelDigest(model),
      details: { from: former, to: name },
    })
    return create(RenameModelResponseSchema, { model: presentModel(model) })
  })
  await settleChange(deps.relay, context)
  return answer
}

/** Renames the model. References by the former name still resolve to it, unless both names differ only in case. */
async function rename(em: EntityManager, model: Model, name: string): Promise<void> {
  const { namespace, nameKey: former } = model
  const next = nameKey(name)
  em.assign(model, { name, nameKey: next, updateTime: transactionTime() })
  await flushUnique(em, NAME_CONSTRAINT, () => failModelExists(namespace, name))
  if (former !== next) {
    await em.nativeDelete(ModelRedirect, { namespace, nameKey: next })
    await em.upsert(ModelRedirect, { namespace, nameKey: former, model: model.id })
  }
  await reloadModel(em, model)
}
