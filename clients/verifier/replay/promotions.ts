// Promotions as the events tell of them: who asked, who agreed, and whether that was enough when the alias was moved.
import { holdsRole, isService, type Access, type Need } from './access.ts'
import { countOf, counts, findUnlisted, findUnmet, guardsOf } from './gates.ts'
import type { Judged } from './judged.ts'
import { aliasKey, type Gate, type Judge, type Promotion, type Registry } from './state.ts'
import { textOf, timeOf } from '../export/values.ts'

const MS = 1000
/** The time of an event is that of the beginning of its transaction. */
const GRACE_MS = 60_000

export const requestPromotion: Judge = (event, registry) => {
  const { id } = event
  const isKnown = registry.waiting.has(id) || registry.ended.has(id)
  const promotion = readPromotion(event, registry)
  registry.waiting.set(id, promotion)
  if (isKnown) return 'it already existed'
  return findWrongRequest(event, promotion, registry)
}

function readPromotion(event: Judged, { models }: Registry): Promotion {
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
    askedAt: index,
    approvals: [],
    isOutdated: false,
  }
}

function findWrongRequest(event: Judged, promotion: Promotion, registry: Registry): string | undefined {
  const { details, time } = event
  const { creator, expires } = promotion
  const wrong = findWrongTarget(event, promotion, registry)
  if (wrong) return wrong
  if (details['creator'] !== creator) return `the version was created by ${creator}`
  const guards = guardsOf(registry, promotion)
  const seconds = Math.min(...guards.map(({ expirySeconds }) => expirySeconds))
  if (!(expires <= time + seconds * MS + GRACE_MS)) return 'it expires later than its gates allow'
  return findUnlisted(details['gates'], guards) ?? findUnmet(details['gates'], guards)
}

/** The version is there, and the alias where it is said to be. */
function findWrongTarget({ name, afterDigest }: Judged, promotion: Promotion, registry: Registry): string | undefined {
  const { namespace, modelId, alias, number, digest, from, fromDigest } = promotion
  const model = registry.models.get(modelId)
  if (!model || model.namespace !== namespace) return 'its model did not exist'
  if (!name.endsWith(`@${alias}`)) return `its alias is ${alias}`
  const version = model.versions.get(number)
  if (!version) return `version ${number} did not exist`
  if (digest !== version.digest || afterDigest !== digest) return `version ${number} had digest ${version.digest}`
  const present = registry.aliases.get(aliasKey(modelId, alias))
  const at = present?.number ?? 0
  if (from !== at) return `the alias pointed at ${at}, not at ${from}`
  return fromDigest === (present?.digest ?? '') ? undefined : 'the alias pointed at another digest'
}

export const approvePromotion: Judge = (event, registry) => {
  const promotion = registry.waiting.get(event.id)
  if (!promotion) return describeEnd(event.id, registry)
  const guards = guardsOf(registry, promotion)
  const wrong =
    findStale(event, promotion, registry) ??
    findBiased(event, promotion, guards) ??
    findUnlisted(event.details['gates'], guards)
  if (!wrong) promotion.approvals.push(event.principal)
  return wrong
}

export const rejectPromotion: Judge = (event, registry) => {
  const promotion = registry.waiting.get(event.id)
  const over = end(event, registry, 'rejected')
  return over ?? findBiased(event, promotion!, guardsOf(registry, promotion!))
}

/** Somebody else's only by an admin. */
export function needsToWithdraw({ id, principal }: Judged, { waiting }: Registry): Need {
  return waiting.get(id)?.requester === principal ? 'CONTRIBUTOR' : 'ADMIN'
}

export const withdrawPromotion: Judge = (event, registry) => end(event, registry, 'withdrawn')

export const voidPromotion: Judge = (event, registry) => {
  const promotion = registry.waiting.get(event.id)
  const over = end(event, registry, 'voided')
  if (over) return over
  const because = event.details['because']
  if (because === 'ALIAS_MOVED' && !hasMoved(promotion!, registry)) return 'the alias had not moved'
  if (because === 'GATE_CHANGED' && !promotion!.isOutdated) return 'no gate of the alias had changed'
  return undefined
}

export const expirePromotion: Judge = (event, registry) => {
  const promotion = registry.waiting.get(event.id)
  const over = end(event, registry, 'expired')
  if (over) return over
  if (!isService(event)) return 'only the service expires promotions'
  return event.time < promotion!.expires ? 'it had not expired' : undefined
}

export const applyPromotion: Judge = (event, registry, access) => {
  const { index, id, name, principal } = event
  const promotion = registry.waiting.get(id)
  const over = end(event, registry, 'applied')
  if (!promotion) return over
  const { modelId, alias, number, digest } = promotion
  registry.applied = { index, id, name, principal, modelId, alias, number, digest }
  const guards = guardsOf(registry, promotion)
  return (
    over ??
    findStale(event, promotion, registry) ??
    findWrongTarget(event, promotion, registry) ??
    findUnlisted(event.details['gates'], guards) ??
    findUnmet(event.details['gates'], guards) ??
    findUnapproved(event, promotion, guards, access)
  )
}

/** Whether as many have agreed as each gate asks, who may still do so, and who did. */
function findUnapproved(event: Judged, promotion: Promotion, guards: Gate[], access: Access): string | undefined {
  const { principal, namespace, time, details } = event
  const { approvals, requester } = promotion
  const told = new Set(Array.isArray(details['approvers']) ? (details['approvers'] as unknown[]).map(textOf) : [])
  const counted = approvals.filter((approver) => told.delete(approver))
  if (told.size > 0) return `approvals are listed that were not given; approved by ${approvals.join(', ') || 'nobody'}`
  const former = counted.find(
    (approver) => !holdsRole({ principal: approver, role: 'APPROVER', namespace, time }, access),
  )
  if (former !== undefined) return `${former} could no longer approve`
  for (const gate of guards) {
    const given = counted.filter((approver) => counts(gate, approver)).length
    if (given < gate.required)
      return `${given} of the ${gate.required} approvals required by gate ${gate.name} were given`
  }
  const last = approvals.at(-1) ?? requester
  return principal === last ? undefined : `it was applied by ${principal}, but the deciding step was by ${last}`
}

/** Ends it, and says what is wrong with that. */
function end(event: Judged, registry: Registry, how: string): string | undefined {
  const promotion = registry.waiting.get(event.id)
  if (!promotion) return describeEnd(event.id, registry)
  registry.waiting.delete(event.id)
  registry.ended.set(event.id, how)
  return findOther(event, promotion)
}

/** Why a promotion that does not wait does not. */
export function describeEnd(id: string, { waiting, ended }: Registry): string {
  const how = ended.get(id)
  if (how) return `it was already ${how}`
  return waiting.has(id) ? 'it is pending' : 'it was never requested'
}

/** An event of a promotion is of what was asked for. */
function findOther(event: Judged, promotion: Promotion): string | undefined {
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

/** What was asked for must still be the same. */
function findStale(event: Judged, promotion: Promotion, registry: Registry): string | undefined {
  const other = findOther(event, promotion)
  if (other) return other
  if (hasMoved(promotion, registry)) return 'the alias had moved since the request'
  if (promotion.isOutdated) return 'a gate of the alias had changed since the request'
  return event.time <= promotion.expires ? undefined : 'it had expired'
}

function hasMoved({ modelId, alias, askedAt }: Promotion, { aliases }: Registry): boolean {
  return (aliases.get(aliasKey(modelId, alias))?.movedAt ?? -1) > askedAt
}

/** Nobody decides on what is their own, twice, or without being asked. */
function findBiased({ principal }: Judged, promotion: Promotion, guards: Gate[]): string | undefined {
  const { requester, creator, approvals } = promotion
  if (principal === requester) return `${principal} requested it`
  if (principal === creator) return `${principal} created the version`
  if (approvals.includes(principal)) return `${principal} had already approved it`
  return guards.some((gate) => counts(gate, principal)) ? undefined : `no gate counts approvals by ${principal}`
}
