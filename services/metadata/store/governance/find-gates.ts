// Reads of gates. A change of a gate locks the row of its namespace exclusively; a move of an alias takes a shared lock.
// The audit log therefore contains both in the order in which they took effect.
import type { GateRules } from '#gen/modelkeep/metadata/v1/gate_pb.ts'
import { matchesWildcard } from '#lib/lists/wildcard.ts'
import type { EntityManager } from '#lib/store/database.ts'
import { rulesOf } from '../../domain/governance/gate-rules.ts'
import { Gate } from './gate.ts'

/** Returns the gate with the name of its model. */
export async function findGate(em: EntityManager, namespace: string, name: string): Promise<Gate | null> {
  return em.findOne(Gate, { namespace, name }, { populate: ['modelName'], refresh: true })
}

/** Reads the row again, after a change. */
export async function reloadGate(em: EntityManager, gate: Gate): Promise<Gate> {
  return em.refreshOrFail(gate, { populate: ['modelName'] })
}

/** Returns the gates of the model and those of all models of its namespace, ordered by name. */
export async function findGatesOfModel(em: EntityManager, namespace: string, modelId: string): Promise<Gate[]> {
  const where = { namespace, $or: [{ model: null }, { model: modelId }] }
  return em.find(Gate, where, { orderBy: { name: 'asc' }, refresh: true })
}

/** Returns the gates that guard the alias, ordered by name. */
export async function findGuardingGates(
  em: EntityManager,
  { namespace, modelId, alias }: { namespace: string; modelId: string; alias: string },
): Promise<Gate[]> {
  const gates = await findGatesOfModel(em, namespace, modelId)
  return gates.filter((gate) => isGuarded(alias, rulesOf(gate)))
}

export function isGuarded(alias: string, { aliasPattern }: GateRules): boolean {
  return matchesWildcard(aliasPattern, alias)
}
