// Hand-made events of gates and promotions: carol requests, erin and frank approve.
import type { LeafEvent } from '../../clients/verifier/export/event.ts'
import { at, by, event, move, role, token, type Init } from './governed.ts'

export type Details = Record<string, unknown>

export const PEOPLE = ['erin', 'frank', 'grace'].flatMap((name) => [token(name), role(name, 'fraud', 'APPROVER')])

const CONDITION = { expression: 'version.number > 0', sentence: 'it is a version' }
const RULES = {
  model_id: '',
  alias_pattern: 'l*',
  approvals_required: 2,
  approvers: [],
  conditions: [CONDITION, CONDITION],
  expiry_seconds: 600,
}

/** Returns an event of the gate `fraud/<name>`. */
export function gate(type: string, name: string, details: Details = {}, change: Init = {}): LeafEvent {
  const rules = type === 'deleted' ? { model_id: '' } : RULES
  return event(`gate.${type}`, {
    actor: by('alice'),
    resource: { id: `gate-${name}`, namespace: 'fraud', name: `fraud/${name}` },
    details: { ...rules, revision: 1, ...details },
    ...change,
  })
}

export const requested = (name: string, revision = 1) => ({ id: `gate-${name}`, revision })
export const gateMet = (name: string, revision = 1) => ({ ...requested(name, revision), conditions: ['TRUE', 'TRUE'] })

const TARGET = { model_id: 'm', alias: 'live', number: 2 }

/** Returns an event of the promotion from version 1 to 2. */
function promotion(type: string, who: string, details: Details, change: Init): LeafEvent {
  return event(`promotion.${type}`, {
    actor: by(who),
    resource: { id: 'p', namespace: 'fraud', name: 'fraud/scorer@live', digest: 'sha256:2' },
    beforeDigest: 'sha256:1',
    afterDigest: 'sha256:2',
    minute: 2,
    ...change,
    details: { ...TARGET, ...details },
  })
}
export const request = (details: Details = {}, change: Init = {}): LeafEvent =>
  promotion(
    'requested',
    'carol',
    { from: 1, creator: 'alice', expire_time: at(12), gates: [gateMet('g')], evaluations: [], ...details },
    change,
  )
export const approve = (who: string, details: Details = {}, change: Init = {}): LeafEvent =>
  promotion('approved', who, { gates: [requested('g')], ...details }, change)
export const apply = (approvers: string[], details: Details = {}, change: Init = {}): LeafEvent =>
  promotion(
    'applied',
    approvers.at(-1) ?? 'carol',
    { from: 1, gates: [gateMet('g')], evaluations: [], approvers, ...details },
    change,
  )
/** Closes the promotion without applying it. */
export const close = (how: string, who: string, details: Details = {}, change: Init = {}): LeafEvent =>
  promotion(how, who, details, change)
/** The move of the alias that the applied promotion causes. */
export const promoted = (details: Details = {}, change: Init = {}): LeafEvent =>
  move(1, 2, {
    actor: by('frank'),
    ...change,
    details: { from: 1, to: 2, model_id: 'm', promotion_id: 'p', ...details },
  })

export const GATED = [...PEOPLE, gate('created', 'g')]
export const REQUESTED = [...GATED, request()]
export const APPROVED = [...REQUESTED, approve('erin'), approve('frank')]
export const APPROVERS = ['erin', 'frank']
export const forced = (from: number, to: number, gates: object[] = [requested('g')], who = 'alice'): LeafEvent => ({
  ...move(from, to, { actor: by(who), details: { from, to, model_id: 'm', gates } }),
  type: 'alias.forced.v1',
})
export const deleted = (name: string, revision: number) => gate('deleted', name, { revision })
export const OTHER_PROMOTION = { id: 'q', namespace: 'fraud', name: 'fraud/scorer@live', digest: 'sha256:2' }
