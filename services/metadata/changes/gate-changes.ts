// Changes of gates: each stores a revision, emits an event and voids the pending promotions that it affects.
import { type JsonObject, toJson } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import { type GateRules, GateRulesSchema } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { rulesBytes, rulesOf, rulesToJson } from '../domain/governance/gate-rules.ts'
import { findGate, isGuarded } from '../store/governance/find-gates.ts'
import { Gate, GateRevision } from '../store/governance/gate.ts'
import { gateResource } from './resources.ts'
import { voidPromotions } from './void-promotions.ts'
import { digestOf } from './state-digest.ts'
import { lockNamespace } from '../store/models/namespace.ts'
import { failNoGate } from './checks.ts'

/** A created, updated or deleted gate. `before` and `after` are its rules, undefined before it was created and after it
 * was deleted. */
export interface GateChange {
  gate: Gate
  /** The number of the new revision. */
  revision: number
  before: GateRules | undefined
  after: GateRules | undefined
  reason: string
}

/** Returns the gate, with all gates of its namespace locked. */
export async function requireGateLock(em: EntityManager, namespace: string, name: string): Promise<Gate> {
  await lockNamespace(em, namespace)
  return (await findGate(em, namespace, name)) ?? failNoGate(`${namespace}/${name}`)
}

/** Stores the revision, emits the event, and voids promotions that are pending under other rules. The caller has locked
 * the gates of the namespace. */
export async function recordChange(em: EntityManager, context: HandlerContext, change: GateChange): Promise<void> {
  const { gate, revision, before, after, reason } = change
  const { id: gateId, namespace, model } = gate
  em.create(GateRevision, {
    gateId,
    revision,
    namespace,
    rules: after ? rulesToJson(after) : null,
    messageBytes: (after ? rulesBytes(after) : 0) + Buffer.byteLength(reason),
    changer: accessOf(context).caller.principal,
    reason,
  })
  emit(em, context, {
    type: after ? (before ? 'gate.updated.v1' : 'gate.created.v1') : 'gate.deleted.v1',
    resource: gateResource(gate),
    reason,
    beforeDigest: before ? rulesDigest(before) : '',
    afterDigest: after ? rulesDigest(after) : '',
    details: { model_id: model ?? '', revision, ...(after && describeRules(after)) },
  })
  const filter = model ? { modelId: model } : { namespace }
  const affects = (alias: string): boolean => [before, after].some((rules) => rules && isGuarded(alias, rules))
  await voidPromotions(em, context, filter, { because: 'GATE_CHANGED', affects })
}

/** Removes the gates of a model or namespace that is deleted, so that a later one of its name does not inherit them. */
export async function removeGates(
  em: EntityManager,
  context: HandlerContext,
  of: { model: string } | { namespace: string },
  reason: string,
): Promise<void> {
  const gates = await em.find(Gate, of, { orderBy: { name: 'asc' } })
  for (const gate of gates) await removeGate(em, context, gate, reason)
}

/** Removes the gate. The caller has locked the gates of the namespace. */
export async function removeGate(em: EntityManager, context: HandlerContext, gate: Gate, reason: string) {
  const change = { gate, revision: gate.revision + 1, before: rulesOf(gate), after: undefined, reason }
  em.remove(gate)
  await recordChange(em, context, change)
}

function describeRules({ aliasPattern, approvalsRequired, approvers, conditions, expiry }: GateRules): JsonObject {
  return {
    alias_pattern: aliasPattern,
    approvals_required: approvalsRequired,
    approvers,
    conditions: conditions.map(({ expression, sentence }) => ({ expression, sentence })),
    expiry_seconds: Number(expiry!.seconds),
  }
}

function rulesDigest(rules: GateRules): string {
  return digestOf(toJson(GateRulesSchema, rules) as object)
}
