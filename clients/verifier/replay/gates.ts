// The rules of gates, and which gates guard an alias.
import type { ReplayEvent } from './replay-event.ts'
import type { AliasPlace, Gate, Registry, RuleCheck } from './state.ts'
import { fieldsOf, formatValue, textOf, type Fields } from '../export/values.ts'
import { matchesPattern } from './wildcard.ts'

export function gatesOf({ gates }: Registry, namespace: string): Gate[] {
  return [...(gates.get(namespace)?.values() ?? [])]
}

export function gatesGuarding(registry: Registry, { namespace, modelId, alias }: AliasPlace): Gate[] {
  if (!registry.gates.has(namespace)) return []
  return gatesOf(registry, namespace).filter((gate) => guards(gate, modelId, alias))
}

function guards(gate: Gate, modelId: string, alias: string): boolean {
  return (gate.modelId === '' || gate.modelId === modelId) && matchesPattern(gate.pattern, alias)
}

export const createGate: RuleCheck = (event, registry) => {
  const { id, namespace, name } = event
  const others = gatesOf(registry, namespace)
  const gate = storeGate(event, registry)
  markOutdated(registry, namespace, gate)
  if (others.some((other) => other.id === id)) return 'it already existed'
  if (others.some((other) => other.name === name)) return `gate ${name} already existed`
  if (gate.revision !== 1) return `its first revision must be 1, not ${gate.revision}`
  const model = registry.models.get(gate.modelId)
  if (gate.modelId !== '' && model?.namespace !== namespace) return 'its model did not exist'
  return findMalformed(event)
}

export const updateGate: RuleCheck = (event, registry) => {
  const before = registry.gates.get(event.namespace)?.get(event.id)
  const gate = storeGate(event, registry)
  markOutdated(registry, event.namespace, gate)
  if (!before) return 'it did not exist'
  markOutdated(registry, event.namespace, before)
  return findWrongRevision(event, before) ?? findMalformed(event)
}

export const deleteGate: RuleCheck = (event, registry) => {
  const gates = registry.gates.get(event.namespace)
  const before = gates?.get(event.id)
  if (!before) return 'it did not exist'
  gates!.delete(event.id)
  if (gates!.size === 0) registry.gates.delete(event.namespace)
  markOutdated(registry, event.namespace, before)
  return findWrongRevision(event, before)
}

function findWrongRevision({ name, details }: ReplayEvent, before: Gate): string | undefined {
  if (name !== before.name) return `its name was ${before.name}`
  if (details['model_id'] !== before.modelId) return 'it guarded the aliases of another model'
  const next = before.revision + 1
  return details['revision'] === next
    ? undefined
    : `its next revision must be ${next}, not ${formatValue(details['revision'])}`
}

function storeGate(event: ReplayEvent, { gates }: Registry): Gate {
  const gate = readGate(event)
  const others = gates.get(event.namespace) ?? new Map<string, Gate>()
  gates.set(event.namespace, others.set(event.id, gate))
  return gate
}

/** A rule that cannot be read counts as one that nobody can meet. */
function readGate({ id, name, details }: ReplayEvent): Gate {
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

function findMalformed({ details }: ReplayEvent): string | undefined {
  const { approvers, conditions } = details
  const limits = [details['approvals_required'], details['expiry_seconds']].map(countOf)
  const isWellFormed =
    textOf(details['alias_pattern']) !== '' &&
    limits.every(Number.isFinite) &&
    typeof details['model_id'] === 'string' &&
    Array.isArray(conditions) &&
    Array.isArray(approvers) &&
    approvers.every((principal) => typeof principal === 'string')
  return isWellFormed ? undefined : 'its gate rules are malformed'
}

export function countOf(value: unknown): number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : Infinity
}

/** Marks the pending promotions to the aliases that the gate guards: their rules have changed. */
function markOutdated({ pending }: Registry, namespace: string, gate: Gate): void {
  for (const promotion of pending.values()) {
    const { modelId, alias } = promotion
    if (promotion.namespace === namespace && guards(gate, modelId, alias)) promotion.isOutdated = true
  }
}

/** Returns how a list of gates differs from `gates` and their revisions. */
export function findUnlisted(list: unknown, gates: readonly Gate[]): string | undefined {
  const listed = readList(list)
  for (const { id, name, revision } of gates) {
    const entry = listed.find((one) => one['id'] === id)
    if (!entry) return `gate ${name} guarded the alias, but is not listed`
    if (entry['revision'] !== revision) {
      return `gate ${name} is listed at revision ${formatValue(entry['revision'])}, but was at ${revision}`
    }
  }
  return listed.length === gates.length ? undefined : 'a listed gate did not guard the alias'
}

/** Returns the condition of a gate that a list does not record as true. */
export function findUnmet(list: unknown, gates: readonly Gate[]): string | undefined {
  const listed = readList(list)
  for (const { id, name, conditions } of gates) {
    const recorded = listed.find((entry) => entry['id'] === id)?.['conditions']
    const outcomes = Array.isArray(recorded) ? recorded : []
    if (outcomes.length !== conditions)
      return `${outcomes.length} of the ${conditions} conditions of gate ${name} are recorded`
    if (outcomes.some((outcome) => outcome !== 'TRUE')) return `not all conditions of gate ${name} were true`
  }
  return undefined
}

function readList(list: unknown): Fields[] {
  return Array.isArray(list) ? list.map(fieldsOf) : []
}

/** Whether an approval by this principal counts for the gate. */
export function countsApproval({ approvers }: Gate, principal: string): boolean {
  return approvers.length === 0 || approvers.includes(principal)
}
