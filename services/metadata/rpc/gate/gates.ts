import { create } from '@bufbuild/protobuf'
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect'
import { v7 as uuidv7 } from 'uuid'
import {
  CreateGateRequestSchema,
  CreateGateResponseSchema,
  DeleteGateRequestSchema,
  DeleteGateResponseSchema,
  UpdateGateRequestSchema,
  UpdateGateResponseSchema,
  type CreateGateRequest,
  type DeleteGateRequest,
  type GateService,
  type UpdateGateRequest,
} from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parseGateName, parseRules } from '../../domain/gate-rules.ts'
import { parseNamespace } from '../../domain/names.ts'
import { parseModelRef, type ModelKey } from '../../domain/refs.ts'
import { parseReason } from '../../domain/text.ts'
import * as gates from '../../store/governance/gate-rows.ts'
import type { ModelRow } from '../../store/models/model-rows.ts'
import { lockNamespace } from '../../store/models/namespace.ts'
import { authorizeModel, requireEtag, requireModelLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { recordChange } from '../../changes/gate-changes.ts'
import { getGate, listGateRevisions, listGates, testGate } from './gate-reads.ts'
import { presentGate } from '../present-governance.ts'
import { settleChange } from '../../changes/settle-change.ts'

const MAX_GATES = 100

export function gateRoutes(deps: RegistryDeps): ServiceImpl<typeof GateService> {
  return {
    createGate: (request, context) => createGate(deps, request, context),
    updateGate: (request, context) => updateGate(deps, request, context),
    deleteGate: (request, context) => deleteGate(deps, request, context),
    getGate: (request, context) => getGate(deps, request, context),
    listGates: (request, context) => listGates(deps, request, context),
    listGateRevisions: (request, context) => listGateRevisions(deps, request, context),
    testGate: (request, context) => testGate(deps, request, context),
  }
}

async function createGate(deps: RegistryDeps, request: CreateGateRequest, context: HandlerContext) {
  const name = parseGateName(request.name, 'name')
  const key = request.model && parseModelRef(request.model, 'model')
  const namespace = parseNamespace(request.namespace, 'namespace')
  const rules = parseRules(request.rules)
  const reason = parseReason(request.reason)
  if (key) await authorizeModel(forkFor(deps.database, context.signal), context, key)
  else accessOf(context).require(namespace)
  const once = { context, request, input: CreateGateRequestSchema, output: CreateGateResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const model = await lockScope(em, namespace, key)
    const id = uuidv7()
    const within = model?.namespace ?? namespace
    await requireRoom(em, within)
    const creator = accessOf(context).caller.principal
    const values = { id, namespace: within, name, modelId: model?.id ?? null, rules, creator }
    if (!(await gates.insertGate(em, values))) failTaken(within, name)
    const gate = (await gates.findGate(em, within, name))!
    await recordChange(em, context, { gate, before: undefined, after: rules, reason })
    return create(CreateGateResponseSchema, { gate: presentGate(gate) })
  })
  await settleChange(deps.relay, context)
  return answer
}

/** Holds the gates of the namespace, after the model's lock as everywhere. */
async function lockScope(
  em: EntityManager,
  namespace: string,
  key: ModelKey | undefined,
): Promise<ModelRow | undefined> {
  const model = key && (await requireModelLock(em, key))
  await requireNamespaceLock(em, model?.namespace ?? namespace)
  return model
}

async function requireNamespaceLock(em: EntityManager, namespace: string): Promise<void> {
  if (await lockNamespace(em, namespace)) return
  fail('NAMESPACE_NOT_FOUND', `namespace "${namespace}" not found`, { namespace })
}

async function requireRoom(em: EntityManager, namespace: string): Promise<void> {
  if ((await gates.countGates(em, namespace)) < MAX_GATES) return
  const limit = String(MAX_GATES)
  fail('GATE_LIMIT_REACHED', `namespace "${namespace}" has reached the limit of ${limit} gates`, { namespace, limit })
}

async function updateGate(deps: RegistryDeps, request: UpdateGateRequest, context: HandlerContext) {
  const { namespace, name } = parseGate(request, context)
  const rules = parseRules(request.rules)
  const reason = parseReason(request.reason)
  const once = { context, request, input: UpdateGateRequestSchema, output: UpdateGateResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const before = await requireGateLock(em, namespace, name)
    requireEtag(before, request.etag)
    await gates.updateGate(em, before.id, rules)
    const gate = (await gates.findGate(em, namespace, name))!
    await recordChange(em, context, { gate, before: before.rules, after: rules, reason })
    return create(UpdateGateResponseSchema, { gate: presentGate(gate) })
  })
  await settleChange(deps.relay, context)
  return answer
}

async function deleteGate(deps: RegistryDeps, request: DeleteGateRequest, context: HandlerContext) {
  const { namespace, name } = parseGate(request, context)
  const reason = parseReason(request.reason)
  const once = { context, request, input: DeleteGateRequestSchema, output: DeleteGateResponseSchema }
  const answer = await answerOnce(deps.database, once, async (em) => {
    const before = await requireGateLock(em, namespace, name)
    requireEtag(before, request.etag)
    await gates.removeGate(em, before.id)
    const gate = { ...before, revision: before.revision + 1 }
    await recordChange(em, context, { gate, before: before.rules, after: undefined, reason })
    return create(DeleteGateResponseSchema)
  })
  await settleChange(deps.relay, context)
  return answer
}

function parseGate(request: { namespace: string; name: string }, context: HandlerContext) {
  const namespace = parseNamespace(request.namespace, 'namespace')
  const name = parseGateName(request.name, 'name')
  accessOf(context).require(namespace)
  return { namespace, name }
}

async function requireGateLock(em: EntityManager, namespace: string, name: string): Promise<gates.GateRow> {
  await lockNamespace(em, namespace)
  return (await gates.findGate(em, namespace, name)) ?? failNoGate(`${namespace}/${name}`)
}

function failTaken(namespace: string, name: string): never {
  const gate = `${namespace}/${name}`
  fail('GATE_EXISTS', `gate "${gate}" already exists`, { gate })
}

function failNoGate(gate: string): never {
  fail('GATE_NOT_FOUND', `gate "${gate}" not found`, { gate })
}
