import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import { v7 as uuidv7 } from 'uuid'
import {
  CreateModelRequestSchema,
  CreateModelResponseSchema,
  type CreateModelRequest,
} from '#gen/modelkeep/metadata/v1/model_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { emit } from '#lib/store/outbox.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parseLabels } from '../../domain/labels.ts'
import { nameKey, parseModelName, parseNamespace } from '../../domain/names.ts'
import { parseDescription } from '../../domain/text.ts'
import { failModelExists } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { modelResource } from '../../changes/resources.ts'
import { presentModel } from './present-model.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { modelDigest } from '../../changes/state-digest.ts'
import { failNoNamespace } from '../../changes/checks.ts'
import { parseOwner } from '../../domain/text.ts'
import { lockNamespaceShared } from '../../store/models/namespace.ts'
import { Model, ModelRedirect, NAME_CONSTRAINT } from '../../store/models/model.ts'
import { flushUnique } from '../../store/unique.ts'

export async function createModel(deps: RegistryDeps, request: CreateModelRequest, context: HandlerContext) {
  const access = accessOf(context)
  const namespace = parseNamespace(request.namespace, 'namespace')
  access.require(namespace)
  const name = parseModelName(request.name, 'name')
  const creator = access.caller.principal
  const init = {
    id: uuidv7(),
    namespace,
    name,
    nameKey: nameKey(name),
    description: parseDescription(request.description),
    owner: parseOwner(request.owner) || creator,
    labels: parseLabels(request.labels),
    state: 'ACTIVE' as const,
    creator,
  }
  const once = { context, request, input: CreateModelRequestSchema, output: CreateModelResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    if (!(await lockNamespaceShared(em, namespace))) failNoNamespace(namespace)
    const model = em.create(Model, init)
    await flushUnique(em, NAME_CONSTRAINT, () => failModelExists(namespace, init.name))
    await em.nativeDelete(ModelRedirect, { namespace, nameKey: init.nameKey })
    emit(em, context, { type: 'model.created.v1', resource: modelResource(model), afterDigest: modelDigest(model) })
    return create(CreateModelResponseSchema, { model: presentModel(model) })
  })
  await settleChange(deps.relay, context)
  return answer
}
