// Changes of gates: each stores a revision, emits an event and voids the pending promotions that it affects.
import { type JsonObject, toJson } from '@bufbuild/protobuf'
import type { HandlerContext } from '@connectrpc/connect'
import { type GateRules, GateRulesSchema } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { accessOf } from '#lib/access/caller.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { emit } from '#lib/store/outbox.ts'
import { insertRevision } from '../store/governance/gate-revisions.ts'
import { isGuarded, listGatesToRemove, removeGate, type GateRow } from '../store/governance/gate-rows.ts'
import { gateResource } from './resources.ts'
import { voidPromotions } from './void-promotions.ts'
import { digestOf } from './state-digest.ts'
import { lockNamespace } from '../store/models/namespace.ts'
import { findGate } from '../store/governance/gate-rows.ts'
import { failNoGate } from './checks.ts'

/** A created, updated or deleted gate. `gate` has the new revision; `before` and `after` are its rules, undefined
 * before it was created and after it was deleted. */
export interface GateChange {
  gate: GateRow
  before: GateRules | undefined
  after: GateRules | undefined
  reason: string
}

/** Returns the gate, with all gates of its namespace locked. */
export async function requireGateLock(em: EntityManager, namespace: string, name: string): Promise<GateRow> {
  await lockNamespace(em, namespace)
  return (await findGate(em, namespace, name)) ?? failNoGate(`${namespace}/${name}`)
}

/** Stores the revision, emits the event, and voids promotions that are pending under other rules. The caller has locked
 * the gates of the namespace. */
export async function recordChange(em: EntityManager, context: HandlerContext, change: GateChange): Promise<void> {
  const { gate, before, after, reason } = change
  const { id, namespace, revision } = gate
  const changer = accessOf(context).caller.principal
  await insertRevision(em, { gate_id: id, revision, namespace, rules: after, changer, reason })
  emit(em, context, {
    type: after ? (before ? 'gate.updated.v1' : 'gate.created.v1') : 'gate.deleted.v1',
    resource: gateResource(gate),
    reason,
    beforeDigest: before ? rulesDigest(before) : '',
    afterDigest: after ? rulesDigest(after) : '',
    details: { model_id: gate.model_id ?? '', revision, ...(after && describeRules(after)) },
  })
  const filter = gate.model_id === null ? { namespace } : { modelId: gate.model_id }
  const affects = (alias: string): boolean => [before, after].some((rules) => rules && isGuarded(alias, rules))
  await voidPromotions(em, context, filter, { because: 'GATE_CHANGED', affects })
}

/** Removes the gates of a model or namespace that is deleted, so that a later one of its name does not inherit them. */
export async function removeGates(
  em: EntityManager,
  context: HandlerContext,
  of: { modelId: string } | { namespace: string },
  reason: string,
): Promise<void> {
  for (const row of await listGatesToRemove(em, of)) {
    await removeGate(em, row.id)
    const gate = { ...row, revision: row.revision + 1 }
    await recordChange(em, context, { gate, before: row.rules, after: undefined, reason })
  }
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
