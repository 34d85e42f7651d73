import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  DeleteModelRequestSchema,
  DeleteModelResponseSchema,
  type DeleteModelRequest,
} from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import type { Model } from '../../store/models/model.ts'
import { lockNamespace } from '../../store/models/namespace.ts'
import { requireEtag, requireModelLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { removeGates } from '../../changes/gate-changes.ts'
import { modelResource } from '../../changes/resources.ts'
import { voidPromotions } from '../../changes/void-promotions.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { modelDigest } from '../../changes/state-digest.ts'
import { authorizeStateChange } from '../../changes/model-state.ts'
import { findForeignChild, removeModel } from '../../store/models/remove-model.ts'
import { reloadModel } from '../../store/models/find-model.ts'

export async function deleteModel(deps: RegistryDeps, request: DeleteModelRequest, context: HandlerContext) {
  const { key, reason, etag } = await authorizeStateChange(deps, request, context)
  const once = { context, request, input: DeleteModelRequestSchema, output: DeleteModelResponseSchema }
  // A model can have so many versions that their removal exceeds the time limit of a call's statement.
  const answer = await answerOnce(deps.database.jobs, once, async (em) => {
    const model = await requireModelLock(em, key)
    requireEtag(model, etag)
    requireUnused(await reloadModel(em, model))
    const number = await findForeignChild(em, model.id)
    if (number !== undefined) failModelInUse(model, number)
    await lockNamespace(em, model.namespace)
    await voidPromotions(em, context, { modelId: model.id }, { because: 'MODEL_DELETED' })
    await removeGates(em, context, { model: model.id }, reason)
    const versions = await removeModel(em, model, accessOf(context).caller.principal)
    emit(em, context, {
      type: 'model.deleted.v1',
      resource: modelResource(model),
      reason,
      beforeDigest: modelDigest(model),
      details: { versions, latest_number: model.lastNumber },
    })
    return create(DeleteModelResponseSchema)
  })
  deps.releases.wake()
  await settleChange(deps.relay, context)
  return answer
}

function requireUnused(model: Model): void {
  const name = `${model.namespace}/${model.name}`
  const aliases = model.aliases.map((alias) => alias.name).join(', ')
  if (aliases !== '') fail('MODEL_IN_USE', `model "${name}" has aliases: ${aliases}; remove them first`, { aliases })
  if (model.state !== 'ARCHIVED') fail('MODEL_IN_USE', `model "${name}" is not archived; archive it first`, { aliases })
}

function failModelInUse({ namespace, name }: Model, number: number): never {
  const version = `${namespace}/${name}:${number}`
  fail('VERSION_IN_USE', `version "${version}" is the parent of a version of another model`, { aliases: '', version })
}
