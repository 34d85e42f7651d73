// Replays the events of the metadata service, and finds those that break a rule of the registry: also if a server accepted
// them, or somebody wrote them into its database. Each rule is one entry of the table.
import type { LeafEvent } from '../export/event.ts'
import {
  applyRole,
  applyToken,
  isService,
  checkActor,
  emptyAccess,
  revokeToken,
  type Access,
  type RequiredRole,
} from './access.ts'
import * as aliases from './aliases.ts'
import * as gates from './gates.ts'
import * as promotions from './promotions.ts'
import * as registry from './registry.ts'
import { emptyRegistry, type RuleCheck, type Registry } from './state.ts'
import { toReplayEvent, type ReplayEvent } from './replay-event.ts'
import { textOf } from '../export/values.ts'
import { Unmet } from '../verdict.ts'

interface Rule {
  /** The role that the actor must hold on the event's namespace. */
  needs: RequiredRole | ((event: ReplayEvent, registry: Registry) => RequiredRole)
  /** Whether the metadata service itself may be the actor. */
  isByService?: boolean
  /** The details of the event that the rule reads. */
  reads?: readonly string[]
  /** Whether the rule can be checked even if those details were erased. */
  allowsErasure?: boolean
  check?: RuleCheck
  /** Changes roles or tokens, after the actor was checked. */
  grant?: (event: ReplayEvent, access: Access) => void
}

const ROLE = ['principal', 'namespace', 'role']
const MOVE = ['from', 'to', 'model_id']
const GATE = ['model_id', 'revision']
const GATE_RULES = [...GATE, 'alias_pattern', 'approvals_required', 'approvers', 'conditions', 'expiry_seconds']
const PROMOTION = ['model_id', 'alias', 'number']
const APPLIED = 'promotion.applied.v1'
const FORCED = 'alias.forced.v1'
const REQUEST = [...PROMOTION, 'from', 'gates', 'creator', 'expire_time']

const RULES = new Map<unknown, Rule>(
  Object.entries<Rule>({
    'namespace.created.v1': { needs: 'PLATFORM' },
    'namespace.updated.v1': { needs: 'ADMIN' },
    'namespace.deleted.v1': { needs: 'PLATFORM', check: registry.deleteNamespace },
    'model.created.v1': { needs: 'CONTRIBUTOR', check: registry.createModel },
    'model.updated.v1': { needs: 'CONTRIBUTOR', check: registry.changeModel },
    'model.renamed.v1': { needs: 'ADMIN', check: registry.renameModel },
    'model.archived.v1': { needs: 'ADMIN', check: registry.changeModel },
    'model.unarchived.v1': { needs: 'ADMIN', check: registry.changeModel },
    'model.deleted.v1': { needs: 'ADMIN', reads: ['latest_number'], allowsErasure: true, check: registry.deleteModel },
    'version.created.v1': { needs: 'CONTRIBUTOR', check: registry.createVersion },
    'version.updated.v1': { needs: 'CONTRIBUTOR', check: registry.changeVersion },
    'version.deleted.v1': { needs: 'ADMIN', check: registry.deleteVersion },
    'evaluation.created.v1': { needs: 'CONTRIBUTOR', check: registry.checkEvaluation },
    'alias.moved.v1': { needs: 'CONTRIBUTOR', reads: [...MOVE, 'promotion_id'], check: aliases.moveAlias },
    'alias.removed.v1': { needs: 'CONTRIBUTOR', reads: [...MOVE, 'promotion_id'], check: aliases.moveAlias },
    [FORCED]: { needs: 'ADMIN', reads: [...MOVE, 'gates'], check: aliases.forceAlias },
    'gate.created.v1': { needs: 'ADMIN', reads: GATE_RULES, check: gates.createGate },
    'gate.updated.v1': { needs: 'ADMIN', reads: GATE_RULES, check: gates.updateGate },
    'gate.deleted.v1': { needs: 'ADMIN', reads: GATE, check: gates.deleteGate },
    'promotion.requested.v1': { needs: 'CONTRIBUTOR', reads: REQUEST, check: promotions.requestPromotion },
    'promotion.approved.v1': { needs: 'APPROVER', reads: [...PROMOTION, 'gates'], check: promotions.approvePromotion },
    'promotion.rejected.v1': { needs: 'APPROVER', reads: PROMOTION, check: promotions.rejectPromotion },
    'promotion.withdrawn.v1': {
      needs: promotions.roleToWithdraw,
      reads: PROMOTION,
      check: promotions.withdrawPromotion,
    },
    'promotion.voided.v1': {
      needs: 'CONTRIBUTOR',
      reads: [...PROMOTION, 'because'],
      check: promotions.voidPromotion,
    },
    'promotion.expired.v1': {
      needs: 'CONTRIBUTOR',
      isByService: true,
      reads: PROMOTION,
      check: promotions.expirePromotion,
    },
    [APPLIED]: {
      needs: 'CONTRIBUTOR',
      reads: [...PROMOTION, 'from', 'gates', 'approvers'],
      check: promotions.applyPromotion,
    },
    'role.granted.v1': {
      needs: 'ADMIN',
      isByService: true,
      reads: ROLE,
      grant: (event, access) => applyRole(event, access),
    },
    'role.revoked.v1': { needs: 'ADMIN', reads: ROLE, grant: (event, access) => applyRole(event, access, 0) },
    'token.created.v1': {
      needs: 'PLATFORM',
      isByService: true,
      reads: ['principal', 'expire_time'],
      grant: applyToken,
    },
    'token.revoked.v1': { needs: 'PLATFORM', grant: revokeToken },
  }),
)
/** Only events of this producer are replayed: the log does not order other producers' events relative to role changes. */
const PRODUCER = 'metadata'
const MAX_SHOWN = 10

/** The summary of a replay. */
export interface Replayed {
  /** The number of replayed events. */
  events: number
  /** The number of promotions that moved an alias. */
  promotions: number
  /** The moves by which an admin bypassed gates, such as `entry 7, fraud/scorer@live`. */
  forced: string[]
}

export interface Governance {
  replay(event: ReplayEvent): void
  /** Replays an event of the log if a rule concerns it. `erased`: the fields of the event that were erased. */
  apply(index: number, event: LeafEvent, erased?: readonly string[]): void
  /** Adds a problem that was found elsewhere. */
  report(problem: string): void
  /** Throws Unmet if a rule was broken. */
  finish(): void
  readonly replayed: Replayed
  /** The broken rules, each with its entry. */
  readonly broken: readonly string[]
}

const NONE: readonly string[] = []

/** Returns the part of an event that its rule reads; undefined if no rule concerns it. */
export function findReplayEvent(
  index: number,
  event: LeafEvent,
  erased: readonly string[] = NONE,
): ReplayEvent | undefined {
  const { type, producer, outcome } = event
  const rule = RULES.get(type)
  if (!rule || producer !== PRODUCER || outcome !== 'OUTCOME_SUCCEEDED') return undefined
  return toReplayEvent(index, event, rule.reads ?? NONE, erased)
}

export function replayGovernance(): Governance {
  const access = emptyAccess()
  const state = emptyRegistry()
  const broken: string[] = []
  const replayed: Replayed = { events: 0, promotions: 0, forced: [] }
  const report = ({ index, type, name }: Pick<ReplayEvent, 'index' | 'type' | 'name'>, problem: string | undefined) => {
    if (problem) broken.push(`entry ${index}, ${type} of ${name}: ${problem}`)
  }
  return {
    broken,
    replayed,
    report: (problem) => void broken.push(problem),
    replay(event) {
      const rule = RULES.get(event.type)!
      const { applied } = state
      replayed.events += 1
      if (event.type === APPLIED) replayed.promotions += 1
      if (event.type === FORCED) replayed.forced.push(`entry ${event.index}, ${event.name}`)
      report(event, findMissingRole(event, rule, state, access))
      const problem = rule.check?.(event, state, access)
      report(event, findErased(event, rule) ?? findWrongNamespace(event, rule) ?? problem)
      rule.grant?.(event, access)
      if (!applied || state.applied !== applied) return
      report({ ...applied, type: APPLIED }, 'the alias move did not follow directly')
      state.applied = undefined
    },
    apply(index, event, erased) {
      const found = findReplayEvent(index, event, erased)
      if (found) this.replay(found)
    },
    finish() {
      if (broken.length === 0) return
      const more = broken.length > MAX_SHOWN ? `\n  and ${broken.length - MAX_SHOWN} more` : ''
      const rules = broken.length === 1 ? 'a rule was broken' : `rules were broken ${broken.length} times`
      throw new Unmet(`its signatures are valid, but ${rules}:\n  ${broken.slice(0, MAX_SHOWN).join('\n  ')}${more}`)
    },
  }
}

function findMissingRole(event: ReplayEvent, rule: Rule, state: Registry, access: Access): string | undefined {
  if (rule.isByService && isService(event)) return undefined
  const namespace = rule.grant ? textOf(event.details['namespace']) : event.namespace
  return checkActor(event, typeof rule.needs === 'string' ? rule.needs : rule.needs(event, state), namespace, access)
}

function findErased({ erased }: ReplayEvent, { allowsErasure }: Rule): string | undefined {
  return erased === '' || allowsErasure ? undefined : `cannot be verified, because ${erased} was erased`
}

/** The actor's role was checked on the event's namespace, so the resource must be in that namespace. */
function findWrongNamespace({ name, namespace }: ReplayEvent, { check }: Rule): string | undefined {
  const [prefix] = name.split('/', 1)
  return check && prefix !== namespace ? `its name is not in namespace ${namespace}` : undefined
}
