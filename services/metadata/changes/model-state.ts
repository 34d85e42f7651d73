import type { HandlerContext } from '@connectrpc/connect'
import type {
  ArchiveModelRequest,
  DeleteModelRequest,
  UnarchiveModelRequest,
} from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { transactionTime } from '#lib/store/time.ts'
import { parseModelRef, type ModelKey } from '../domain/refs.ts'
import { parseReason } from '../domain/text.ts'
import type { Model } from '../store/models/model.ts'
import { authorizeModel, requireEtag, requireModelLock } from './checks.ts'
import type { RegistryDeps } from '../deps.ts'
import { modelResource } from './resources.ts'
import { modelDigest } from './state-digest.ts'
import { reloadModel } from '../store/models/find-model.ts'

interface StateChange {
  key: ModelKey
  reason: string
  etag: string
}

export async function authorizeStateChange(
  { database }: RegistryDeps,
  { model, reason, etag }: ArchiveModelRequest | UnarchiveModelRequest | DeleteModelRequest,
  context: HandlerContext,
): Promise<StateChange> {
  const change = { key: parseModelRef(model, 'model'), reason: parseReason(reason), etag }
  await authorizeModel(forkFor(database, context.signal), context, change.key)
  return change
}

/** Changes the state of a model. A model that already has the state stays unchanged, without an event. */
export async function changeModelState(
  em: EntityManager,
  context: HandlerContext,
  { key, reason, etag }: StateChange,
  state: Model['state'],
): Promise<Model> {
  const model = await requireModelLock(em, key)
  requireEtag(model, etag)
  if (model.state === state) return reloadModel(em, model)
  const beforeDigest = modelDigest(model)
  em.assign(model, { state, updateTime: transactionTime() })
  await em.flush()
  await reloadModel(em, model)
  emit(em, context, {
    type: state === 'ARCHIVED' ? 'model.archived.v1' : 'model.unarchived.v1',
    resource: modelResource(model),
    reason,
    beforeDigest,
    afterDigest: modelDigest(model),
  })
  return model
}
