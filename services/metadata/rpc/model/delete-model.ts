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
import * as changes from '../../store/models/model-changes.ts'
import type { ModelRow } from '../../store/models/model-rows.ts'
import { lockNamespace } from '../../store/models/namespace.ts'
import { requireEtag, requireModelLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { removeGates } from '../../changes/gate-changes.ts'
import { modelResource } from '../../changes/resources.ts'
import { voidPromotions } from '../../changes/promotion-ends.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { modelDigest } from '../../changes/state-digest.ts'
import { authorizeStateChange } from '../../changes/model-state.ts'

export async function deleteModel(deps: RegistryDeps, request: DeleteModelRequest, context: HandlerContext) {
  const { key, reason, etag } = await authorizeStateChange(deps, request, context)
  const once = { context, request, input: DeleteModelRequestSchema, output: DeleteModelResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const model = await requireModelLock(em, key)
    requireEtag(model, etag)
    requireUnused(model)
    const number = await changes.findForeignChild(em, model.id)
    if (number !== undefined) failInUse(model, number)
    await lockNamespace(em, model.namespace)
    await voidPromotions(em, context, { modelId: model.id }, { because: 'MODEL_DELETED' })
    await removeGates(em, context, { modelId: model.id }, reason)
    const versions = await changes.removeModel(em, model, accessOf(context).caller.principal)
    emit(em, context, {
      type: 'model.deleted.v1',
      resource: modelResource(model),
      reason,
      beforeDigest: modelDigest(model),
      details: { versions, latest_number: model.last_number },
    })
    return create(DeleteModelResponseSchema)
  })
  deps.releases.wake()
  await settleChange(deps.relay, context)
  return answer
}

function requireUnused(model: ModelRow): void {
  const name = `${model.namespace}/${model.name}`
  const aliases = model.aliases.map((alias) => alias.name).join(', ')
  if (aliases !== '') fail('MODEL_IN_USE', `model "${name}" has aliases: ${aliases}; remove them first`, { aliases })
  if (model.state !== 'ARCHIVED') fail('MODEL_IN_USE', `model "${name}" is not archived; archive it first`, { aliases })
}

function failInUse({ namespace, name }: ModelRow, number: number): never {
  const version = `${namespace}/${name}:${number}`
  fail('VERSION_IN_USE', `version "${version}" is the parent of a version of another model`, { aliases: '', version })
}
