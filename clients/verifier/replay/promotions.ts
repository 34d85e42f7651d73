// The rules of promotions: who requested, who approved, and whether that sufficed when the alias moved.
import { holdsRole, isService, type Access, type RequiredRole } from './access.ts'
import { countOf, countsApproval, findUnlisted, findUnmet, gatesGuarding } from './gates.ts'
import type { ReplayEvent } from './replay-event.ts'
import { aliasKey, type Gate, type RuleCheck, type Promotion, type Registry } from './state.ts'
import { textOf, timeOf } from '../export/values.ts'

const MS = 1000
/** The time of an event is the start of its transaction, which may be earlier than the check of the expiry. */
const GRACE_MS = 60_000

export const requestPromotion: RuleCheck = (event, registry) => {
  const { id } = event
  const existed = registry.pending.has(id) || registry.closed.has(id)
  const promotion = readPromotion(event, registry)
  registry.pending.set(id, promotion)
  if (existed) return 'it already existed'
  return findWrongRequest(event, promotion, registry)
}

function readPromotion(event: ReplayEvent, { models }: Registry): Promotion {
  const { index, namespace, principal, digest, beforeDigest, details } = event
  const modelId = textOf(details['model_id'])
  const number = countOf(details['number'])
  return {
    namespace,
    modelId,
    alias: textOf(details['alias']),
    number,
    digest,
    from: countOf(details['from']),
    fromDigest: beforeDigest,
    requester: principal,
    creator: models.get(modelId)?.versions.get(number)?.creator ?? '',
    expires: timeOf(details['expire_time'], 0),
    requestedAt: index,
    approvals: [],
    isOutdated: false,
  }
}

function findWrongRequest(event: ReplayEvent, promotion: Promotion, registry: Registry): string | undefined {
  const { details, time } = event
  const { creator, expires } = promotion
  const problem = findWrongTarget(event, promotion, registry)
  if (problem) return problem
  if (details['creator'] !== creator) return `the version was created by ${creator}`
  const gates = gatesGuarding(registry, promotion)
  const seconds = gates.reduce((least, { expirySeconds }) => Math.min(least, expirySeconds), Infinity)
  if (!(expires <= time + seconds * MS + GRACE_MS)) return 'it expires later than its gates allow'
  return findUnlisted(details['gates'], gates) ?? findUnmet(details['gates'], gates)
}

/** The version must exist, and the alias must point where the event states. */
function findWrongTarget(
  { name, afterDigest }: ReplayEvent,
  promotion: Promotion,
  registry: Registry,
): string | undefined {
  const { namespace, modelId, alias, number, digest, from, fromDigest } = promotion
  const model = registry.models.get(modelId)
  if (!model || model.namespace !== namespace) return 'its model did not exist'
  if (!name.endsWith(`@${alias}`)) return `its alias is ${alias}`
  const version = model.versions.get(number)
  if (!version) return `version ${number} did not exist`
  if (digest !== version.digest || afterDigest !== digest) return `version ${number} had digest ${version.digest}`
  const current = registry.aliases.get(aliasKey(modelId, alias))
  const at = current?.number ?? 0
  if (from !== at) return `the alias pointed at ${at}, not at ${from}`
  return fromDigest === (current?.digest ?? '') ? undefined : 'the alias pointed at another digest'
}

export const approvePromotion: RuleCheck = (event, registry) => {
  const promotion = registry.pending.get(event.id)
  if (!promotion) return describeState(event.id, registry)
  const gates = gatesGuarding(registry, promotion)
  const problem =
    findStale(event, promotion, registry) ??
    findIneligible(event, promotion, gates) ??
    findUnlisted(event.details['gates'], gates)
  if (!problem) promotion.approvals.push(event.principal)
  return problem
}

export const rejectPromotion: RuleCheck = (event, registry) => {
  const promotion = registry.pending.get(event.id)
  const problem = close(event, registry, 'rejected')
  return problem ?? findIneligible(event, promotion!, gatesGuarding(registry, promotion!))
}

/** Only an admin withdraws a promotion of somebody else. */
export function roleToWithdraw({ id, principal }: ReplayEvent, { pending }: Registry): RequiredRole {
  return pending.get(id)?.requester === principal ? 'CONTRIBUTOR' : 'ADMIN'
}

export const withdrawPromotion: RuleCheck = (event, registry) => close(event, registry, 'withdrawn')

export const voidPromotion: RuleCheck = (event, registry) => {
  const promotion = registry.pending.get(event.id)
  const problem = close(event, registry, 'voided')
  if (problem) return problem
  const because = event.details['because']
  if (because === 'ALIAS_MOVED' && !hasMoved(promotion!, registry)) return 'the alias had not moved'
  if (because === 'GATE_CHANGED' && !promotion!.isOutdated) return 'no gate of the alias had changed'
  return undefined
}

export const expirePromotion: RuleCheck = (event, registry) => {
  const promotion = registry.pending.get(event.id)
  const problem = close(event, registry, 'expired')
  if (problem) return problem
  if (!isService(event)) return 'only the service expires promotions'
  return event.time < promotion!.expires ? 'it had not expired' : undefined
}

export const applyPromotion: RuleCheck = (event, registry, access) => {
  const { index, id, name, principal } = event
  const promotion = registry.pending.get(id)
  const problem = close(event, registry, 'applied')
  if (!promotion) return problem
  const { modelId, alias, number, digest } = promotion
  registry.applied = { index, id, name, principal, modelId, alias, number, digest }
  const gates = gatesGuarding(registry, promotion)
  return (
    problem ??
    findStale(event, promotion, registry) ??
    findWrongTarget(event, promotion, registry) ??
    findUnlisted(event.details['gates'], gates) ??
    findUnmet(event.details['gates'], gates) ??
    findUnapproved(event, promotion, gates, access)
  )
}

/** Each gate must have its approvals, by principals who approved and still hold the role. */
function findUnapproved(event: ReplayEvent, promotion: Promotion, gates: Gate[], access: Access): string | undefined {
  const { principal, namespace, time, details } = event
  const { approvals, requester } = promotion
  const listed = new Set(Array.isArray(details['approvers']) ? (details['approvers'] as unknown[]).map(textOf) : [])
  const counted = approvals.filter((approver) => listed.delete(approver))
  if (listed.size > 0)
    return `approvals are listed that were not given; approved by ${approvals.join(', ') || 'nobody'}`
  const ineligible = counted.find(
    (approver) => !holdsRole({ principal: approver, role: 'APPROVER', namespace, time }, access),
  )
  if (ineligible !== undefined) return `${ineligible} could no longer approve`
  for (const gate of gates) {
    const given = counted.filter((approver) => countsApproval(gate, approver)).length
    if (given < gate.required)
      return `${given} of the ${gate.required} approvals required by gate ${gate.name} were given`
  }
  const last = approvals.at(-1) ?? requester
  return principal === last ? undefined : `it was applied by ${principal}, but the deciding step was by ${last}`
}

/** Closes the promotion. Returns the rule that this broke. */
function close(event: ReplayEvent, registry: Registry, how: string): string | undefined {
  const promotion = registry.pending.get(event.id)
  if (!promotion) return describeState(event.id, registry)
  registry.pending.delete(event.id)
  registry.closed.set(event.id, how)
  return findMismatch(event, promotion)
}

/** Describes the state of a promotion for a verdict. */
export function describeState(id: string, { pending, closed }: Registry): string {
  const how = closed.get(id)
  if (how) return `it was already ${how}`
  return pending.has(id) ? 'it is pending' : 'it was never requested'
}

/** Every event of a promotion must match the request. */
function findMismatch(event: ReplayEvent, promotion: Promotion): string | undefined {
  const { namespace, digest, beforeDigest, afterDigest } = event
  const { model_id: modelId, alias, number, from = promotion.from } = event.details
  const isSame =
    namespace === promotion.namespace &&
    modelId === promotion.modelId &&
    alias === promotion.alias &&
    number === promotion.number &&
    from === promotion.from &&
    digest === promotion.digest &&
    afterDigest === promotion.digest &&
    beforeDigest === promotion.fromDigest
  return isSame ? undefined : `it does not match the request for version ${promotion.number} as ${promotion.alias}`
}

/** A promotion is decided only while its alias, its gates and its expiry allow. */
function findStale(event: ReplayEvent, promotion: Promotion, registry: Registry): string | undefined {
  const mismatch = findMismatch(event, promotion)
  if (mismatch) return mismatch
  if (hasMoved(promotion, registry)) return 'the alias had moved since the request'
  if (promotion.isOutdated) return 'a gate of the alias had changed since the request'
  return event.time <= promotion.expires ? undefined : 'it had expired'
}

function hasMoved({ modelId, alias, requestedAt }: Promotion, { aliases }: Registry): boolean {
  return (aliases.get(aliasKey(modelId, alias))?.movedAt ?? -1) > requestedAt
}

/** Nobody decides on their own request or version, twice, or without being an approver of a gate. */
function findIneligible({ principal }: ReplayEvent, promotion: Promotion, gates: Gate[]): string | undefined {
  const { requester, creator, approvals } = promotion
  if (principal === requester) return `${principal} requested it`
  if (principal === creator) return `${principal} created the version`
  if (approvals.includes(principal)) return `${principal} had already approved it`
  return gates.some((gate) => countsApproval(gate, principal)) ? undefined : `no gate counts approvals by ${principal}`
}
