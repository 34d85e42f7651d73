import { create } from '@bufbuild/protobuf'
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect'
import { v7 as uuidv7 } from 'uuid'
import {
  CreateModelRequestSchema,
  CreateModelResponseSchema,
  UpdateModelRequestSchema,
  UpdateModelResponseSchema,
  type CreateModelRequest,
  type GetModelRequest,
  type ListModelsRequest,
  type ModelService,
  type UpdateModelRequest,
} from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { accessOf, type Access } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { parseFilter } from '#lib/lists/filter.ts'
import { cutPage, parsePage } from '#lib/lists/pages.ts'
import { forkFor } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parseLabels } from '../../domain/labels.ts'
import { parseMask } from '../../domain/masks.ts'
import { parseModelName, parseNamespace } from '../../domain/names.ts'
import { parseModelOrder } from '../../domain/orders.ts'
import { parseModelRef } from '../../domain/refs.ts'
import { MAX_FILTER_BYTES, parseDescription, parseLine, parseText } from '../../domain/text.ts'
import { holdNamespace, insertModel, updateModel as storeModel } from '../../store/models/model-changes.ts'
import { findModel, listModels as selectModels, type ModelRow } from '../../store/models/model-rows.ts'
import { authorizeModel, failNameTaken, failNoModel, requireEtag, requireModelLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { archiveModel, deleteModel, renameModel, unarchiveModel } from './model-lifecycle.ts'
import { checkKeys, isIdKey, isTextKey, isTimeKey } from '../page-keys.ts'
import { modelResource, presentModel } from '../present.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { modelDigest } from '../../changes/state-digest.ts'

const MAX_OWNER_CHARACTERS = 255

export function modelRoutes(deps: RegistryDeps): ServiceImpl<typeof ModelService> {
  return {
    createModel: (request, context) => createModel(deps, request, context),
    getModel: (request, context) => getModel(deps, request, context),
    listModels: (request, context) => listModels(deps, request, context),
    updateModel: (request, context) => updateModel(deps, request, context),
    renameModel: (request, context) => renameModel(deps, request, context),
    archiveModel: (request, context) => archiveModel(deps, request, context),
    unarchiveModel: (request, context) => unarchiveModel(deps, request, context),
    deleteModel: (request, context) => deleteModel(deps, request, context),
  }
}

async function createModel(deps: RegistryDeps, request: CreateModelRequest, context: HandlerContext) {
  const access = accessOf(context)
  const namespace = parseNamespace(request.namespace, 'namespace')
  access.require(namespace)
  const creator = access.caller.principal
  const init = {
    id: uuidv7(),
    namespace,
    name: parseModelName(request.name, 'name'),
    description: parseDescription(request.description),
    owner: parseOwner(request.owner) || creator,
    labels: parseLabels(request.labels),
    creator,
  }
  const once = { context, request, input: CreateModelRequestSchema, output: CreateModelResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    if (!(await holdNamespace(em, namespace))) {
      fail('NAMESPACE_NOT_FOUND', `namespace "${namespace}" not found`, { namespace })
    }
    if (!(await insertModel(em, init))) failNameTaken(namespace, init.name)
    const row = (await findModel(em, { id: init.id }))!
    emit(em, context, { type: 'model.created.v1', resource: modelResource(row), afterDigest: modelDigest(row) })
    return create(CreateModelResponseSchema, { model: presentModel(row) })
  })
  await settleChange(deps.relay, context)
  return answer
}

async function getModel({ database }: RegistryDeps, request: GetModelRequest, context: HandlerContext) {
  const key = parseModelRef(request.model, 'model')
  const em = forkFor(database, context.signal)
  await authorizeModel(em, context, key)
  const row = await findModel(em, key)
  return { model: presentModel(row ?? failNoModel(key)) }
}

async function listModels({ database }: RegistryDeps, request: ListModelsRequest, context: HandlerContext) {
  const namespaces = parseScope(accessOf(context), request.namespace)
  const filter = parseFilter(parseText(request.filter, 'filter', MAX_FILTER_BYTES))
  const order = parseModelOrder(request.orderBy)
  const query = ['ListModels', request.namespace, request.filter, order.by, String(order.descending)]
  const isKey = order.by === 'name' ? isTextKey : isTimeKey
  const asked = checkKeys(parsePage(request, query, ['string', 'string']), [isKey, isIdKey])
  const question = { namespaces, filter, order, page: asked }
  const found = await selectModels(forkFor(database, context.signal), question, context.signal)
  const { rows, nextPageToken } = cutPage(found.rows, found.page, (row) => [row.sort_key, row.id])
  return { models: rows.map(presentModel), nextPageToken }
}

function parseScope(access: Access, namespace: string): 'all' | string[] {
  if (namespace === '') return access.namespaces()
  const name = parseNamespace(namespace, 'namespace')
  access.require(name)
  return [name]
}

async function updateModel(deps: RegistryDeps, request: UpdateModelRequest, context: HandlerContext) {
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

function parseOwner(owner: string): string {
  return parseLine(owner, 'owner', MAX_OWNER_CHARACTERS)
}
