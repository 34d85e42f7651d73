// Gates as the events tell of them: what guarded which alias, and under which rules.
import type { Judged } from './judged.ts'
import type { Gate, Judge, Place, Registry } from './state.ts'
import { fieldsOf, show, textOf, type Fields } from '../export/values.ts'
import { matchesPattern } from './wildcard.ts'

export function gatesOf({ gates }: Registry, namespace: string): Gate[] {
  return [...(gates.get(namespace)?.values() ?? [])]
}

/** Those that guard an alias. */
export function guardsOf(registry: Registry, { namespace, modelId, alias }: Place): Gate[] {
  if (!registry.gates.has(namespace)) return []
  return gatesOf(registry, namespace).filter((gate) => isOver(gate, modelId, alias))
}

function isOver(gate: Gate, modelId: string, alias: string): boolean {
  return (gate.modelId === '' || gate.modelId === modelId) && matchesPattern(gate.pattern, alias)
}

export const createGate: Judge = (event, registry) => {
  const { id, namespace, name } = event
  const others = gatesOf(registry, namespace)
  const gate = keep(event, registry)
  outdate(registry, namespace, gate)
  if (others.some((other) => other.id === id)) return 'it already existed'
  if (others.some((other) => other.name === name)) return `gate ${name} already existed`
  if (gate.revision !== 1) return `its first revision must be 1, not ${gate.revision}`
  const model = registry.models.get(gate.modelId)
  if (gate.modelId !== '' && model?.namespace !== namespace) return 'its model did not exist'
  return findUnread(event)
}

export const updateGate: Judge = (event, registry) => {
  const before = registry.gates.get(event.namespace)?.get(event.id)
  const gate = keep(event, registry)
  outdate(registry, event.namespace, gate)
  if (!before) return 'it did not exist'
  outdate(registry, event.namespace, before)
  return findJump(event, before) ?? findUnread(event)
}

export const deleteGate: Judge = (event, registry) => {
  const gates = registry.gates.get(event.namespace)
  const before = gates?.get(event.id)
  if (!before) return 'it did not exist'
  gates!.delete(event.id)
  if (gates!.size === 0) registry.gates.delete(event.namespace)
  outdate(registry, event.namespace, before)
  return findJump(event, before)
}

function findJump({ name, details }: Judged, before: Gate): string | undefined {
  if (name !== before.name) return `its name was ${before.name}`
  if (details['model_id'] !== before.modelId) return 'it guarded the aliases of another model'
  const next = before.revision + 1
  return details['revision'] === next
    ? undefined
    : `its next revision must be ${next}, not ${show(details['revision'])}`
}

function keep(event: Judged, { gates }: Registry): Gate {
  const gate = readGate(event)
  const others = gates.get(event.namespace) ?? new Map<string, Gate>()
  gates.set(event.namespace, others.set(event.id, gate))
  return gate
}

/** What cannot be read asks for more than anybody can give. */
function readGate({ id, name, details }: Judged): Gate {
  const { approvers, conditions } = details
  return {
    id,
    name,
    modelId: textOf(details['model_id']),
    revision: countOf(details['revision']),
    pattern: textOf(details['alias_pattern']) || '*',
    required: countOf(details['approvals_required']),
    approvers: Array.isArray(approvers) ? approvers : [],
    conditions: Array.isArray(conditions) ? conditions.length : Infinity,
    expirySeconds: countOf(details['expiry_seconds']),
  }
}

function findUnread({ details }: Judged): string | undefined {
  const { approvers, conditions } = details
  const counts = [details['approvals_required'], details['expiry_seconds']].map(countOf)
  const isRead =
    textOf(details['alias_pattern']) !== '' &&
    counts.every(Number.isFinite) &&
    typeof details['model_id'] === 'string' &&
    Array.isArray(conditions) &&
    Array.isArray(approvers) &&
    approvers.every((principal) => typeof principal === 'string')
  return isRead ? undefined : 'its gate rules are malformed'
}

export function countOf(value: unknown): number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : Infinity
}

/** Promotions to an alias that the gate guards wait under rules that are no more. */
function outdate({ waiting }: Registry, namespace: string, gate: Gate): void {
  for (const promotion of waiting.values()) {
    const { modelId, alias } = promotion
    if (promotion.namespace === namespace && isOver(gate, modelId, alias)) promotion.isOutdated = true
  }
}

/** What is wrong with a list of gates that should be exactly these, at their revisions. */
export function findUnlisted(list: unknown, guards: readonly Gate[]): string | undefined {
  const listed = readList(list)
  for (const { id, name, revision } of guards) {
    const told = listed.find((entry) => entry['id'] === id)
    if (!told) return `gate ${name} guarded the alias, but is not listed`
    if (told['revision'] !== revision) {
      return `gate ${name} is listed at revision ${show(told['revision'])}, but was at ${revision}`
    }
  }
  return listed.length === guards.length ? undefined : 'a listed gate did not guard the alias'
}

/** The same where each has the outcomes of its conditions. */
export function findUnmet(list: unknown, guards: readonly Gate[]): string | undefined {
  const listed = readList(list)
  for (const { id, name, conditions } of guards) {
    const told = listed.find((entry) => entry['id'] === id)?.['conditions']
    const outcomes = Array.isArray(told) ? told : []
    if (outcomes.length !== conditions)
      return `${outcomes.length} of the ${conditions} conditions of gate ${name} are recorded`
    if (outcomes.some((outcome) => outcome !== 'TRUE')) return `not all conditions of gate ${name} were true`
  }
  return undefined
}

function readList(list: unknown): Fields[] {
  return Array.isArray(list) ? list.map(fieldsOf) : []
}

/** Whether an approval of this principal counts for the gate. */
export function counts({ approvers }: Gate, principal: string): boolean {
  return approvers.length === 0 || approvers.includes(principal)
}
