// Renaming, archiving and deleting models.
import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import {
  ArchiveModelRequestSchema,
  ArchiveModelResponseSchema,
  DeleteModelRequestSchema,
  DeleteModelResponseSchema,
  RenameModelRequestSchema,
  RenameModelResponseSchema,
  UnarchiveModelRequestSchema,
  UnarchiveModelResponseSchema,
  type ArchiveModelRequest,
  type DeleteModelRequest,
  type RenameModelRequest,
  type UnarchiveModelRequest,
} from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parseModelName } from '../../domain/names.ts'
import { parseModelRef, type ModelKey } from '../../domain/refs.ts'
import { parseReason } from '../../domain/text.ts'
import * as changes from '../../store/models/model-changes.ts'
import { findModel, type ModelRow } from '../../store/models/model-rows.ts'
import { lockNamespace } from '../../store/models/namespace.ts'
import { authorizeModel, failNameTaken, requireEtag, requireModelLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { removeGates } from '../../changes/gate-changes.ts'
import { modelResource, presentModel } from '../present.ts'
import { voidPromotions } from '../../changes/promotion-ends.ts'
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

export async function archiveModel(deps: RegistryDeps, request: ArchiveModelRequest, context: HandlerContext) {
  const change = await parseStateChange(deps, request, context)
  const once = { context, request, input: ArchiveModelRequestSchema, output: ArchiveModelResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const row = await setState(em, context, change, 'ARCHIVED')
    return create(ArchiveModelResponseSchema, { model: presentModel(row) })
  })
  await settleChange(deps.relay, context)
  return answer
}

export async function unarchiveModel(deps: RegistryDeps, request: UnarchiveModelRequest, context: HandlerContext) {
  const change = await parseStateChange(deps, request, context)
  const once = { context, request, input: UnarchiveModelRequestSchema, output: UnarchiveModelResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const row = await setState(em, context, change, 'ACTIVE')
    return create(UnarchiveModelResponseSchema, { model: presentModel(row) })
  })
  await settleChange(deps.relay, context)
  return answer
}

interface StateChange {
  key: ModelKey
  reason: string
  etag: string
}

async function parseStateChange(
  { database }: RegistryDeps,
  { model, reason, etag }: ArchiveModelRequest | UnarchiveModelRequest | DeleteModelRequest,
  context: HandlerContext,
): Promise<StateChange> {
  const change = { key: parseModelRef(model, 'model'), reason: parseReason(reason), etag }
  await authorizeModel(forkFor(database, context.signal), context, change.key)
  return change
}

/** A model that is in the state already stays as it is, without an event. */
async function setState(
  em: EntityManager,
  context: HandlerContext,
  { key, reason, etag }: StateChange,
  state: ModelRow['state'],
): Promise<ModelRow> {
  const before = await requireModelLock(em, key)
  requireEtag(before, etag)
  if (before.state === state) return before
  await changes.updateModel(em, before.id, { ...before, state })
  const row = (await findModel(em, { id: before.id }))!
  emit(em, context, {
    type: state === 'ARCHIVED' ? 'model.archived.v1' : 'model.unarchived.v1',
    resource: modelResource(row),
    reason,
    beforeDigest: modelDigest(before),
    afterDigest: modelDigest(row),
  })
  return row
}

export async function deleteModel(deps: RegistryDeps, request: DeleteModelRequest, context: HandlerContext) {
  const { key, reason, etag } = await parseStateChange(deps, request, context)
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
