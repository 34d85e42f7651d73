import { create } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import { v7 as uuidv7 } from 'uuid'
import {
  CreateGateRequestSchema,
  CreateGateResponseSchema,
  type CreateGateRequest,
} from '#gen/modelkeep/metadata/v1/gate_service_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import { fail } from '#lib/errors/errors.ts'
import { forkFor, type EntityManager } from '#lib/store/database.ts'
import { answerOnce } from '#lib/store/requests.ts'
import { parseGateName, parseRules, rulesBytes, rulesToJson } from '../../domain/governance/gate-rules.ts'
import { parseNamespace } from '../../domain/names.ts'
import { parseModelRef, type ModelKey } from '../../domain/refs.ts'
import { parseReason } from '../../domain/text.ts'
import { reloadGate } from '../../store/governance/find-gates.ts'
import { Gate, GATE_NAME_CONSTRAINT } from '../../store/governance/gate.ts'
import type { Model } from '../../store/models/model.ts'
import { lockNamespace } from '../../store/models/namespace.ts'
import { flushUnique } from '../../store/unique.ts'
import { authorizeModel, requireModelLock } from '../../changes/checks.ts'
import type { RegistryDeps } from '../../deps.ts'
import { recordChange } from '../../changes/gate-changes.ts'
import { presentGate } from './present-gate.ts'
import { settleChange } from '../../changes/settle-change.ts'
import { failNoNamespace } from '../../changes/checks.ts'

const MAX_GATES = 100

export async function createGate(deps: RegistryDeps, request: CreateGateRequest, context: HandlerContext) {
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
    const within = model?.namespace ?? namespace
    await requireGateQuota(em, within)
    const gate = em.create(Gate, {
      id: uuidv7(),
      namespace: within,
      name,
      model: model?.id ?? null,
      rules: rulesToJson(rules),
      messageBytes: rulesBytes(rules),
      creator: accessOf(context).caller.principal,
    })
    await flushUnique(em, GATE_NAME_CONSTRAINT, () => failGateExists(within, name))
    await reloadGate(em, gate)
    await recordChange(em, context, { gate, revision: gate.revision, before: undefined, after: rules, reason })
    return create(CreateGateResponseSchema, { gate: presentGate(gate) })
  })
  await settleChange(deps.relay, context)
  return answer
}

/** Locks the model, then the gates of the namespace: every transaction locks in this order. */
async function lockScope(em: EntityManager, namespace: string, key: ModelKey | undefined): Promise<Model | undefined> {
  const model = key && (await requireModelLock(em, key))
  await requireNamespaceLock(em, model?.namespace ?? namespace)
  return model
}

async function requireNamespaceLock(em: EntityManager, namespace: string): Promise<void> {
  if (await lockNamespace(em, namespace)) return
  failNoNamespace(namespace)
}

async function requireGateQuota(em: EntityManager, namespace: string): Promise<void> {
  if ((await em.count(Gate, { namespace })) < MAX_GATES) return
  const limit = String(MAX_GATES)
  fail('GATE_LIMIT_REACHED', `namespace "${namespace}" has reached the limit of ${limit} gates`, { namespace, limit })
}

function failGateExists(namespace: string, name: string): never {
  const gate = `${namespace}/${name}`
  fail('GATE_EXISTS', `gate "${gate}" already exists`, { gate })
}
