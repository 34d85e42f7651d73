import type { HandlerContext } from '@connectrpc/connect'
import type {
  ArchiveModelRequest,
  DeleteModelRequest,
  UnarchiveModelRequest,
} from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { parseModelRef, type ModelKey } from '../domain/refs.ts'
import { parseReason } from '../domain/text.ts'
import * as changes from '../store/models/model-changes.ts'
import { findModel, type ModelRow } from '../store/models/model-rows.ts'
import { authorizeModel, requireEtag, requireModelLock } from './checks.ts'
import type { RegistryDeps } from '../deps.ts'
import { modelResource } from './resources.ts'
import { modelDigest } from './state-digest.ts'

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

/** A model that is in the state already stays as it is, without an event. */
export async function changeModelState(
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
