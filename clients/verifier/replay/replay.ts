// Replays what the events tell, and finds what the rules of the registry did not allow: whatever a server said then, and
// whoever could write into its database. A rule is a line of the table: a new one needs nothing else.
import type { LeafEvent } from '../export/event.ts'
import {
  applyRole,
  applyToken,
  isService,
  judgeActor,
  noAccess,
  revokeToken,
  type Access,
  type Need,
} from './access.ts'
import * as aliases from './aliases.ts'
import * as gates from './gates.ts'
import * as promotions from './promotions.ts'
import * as registry from './registry.ts'
import { emptyRegistry, type Judge, type Registry } from './state.ts'
import { judgedOf, type Judged } from './judged.ts'
import { textOf } from '../export/values.ts'
import { Unmet } from '../verdict.ts'

interface Rule {
  /** What the actor must hold, on the event's namespace. */
  needs: Need | ((event: Judged, registry: Registry) => Need)
  /** Whether the service does it by itself, too. */
  isByService?: boolean
  /** Which of the event's details are looked at. */
  reads?: readonly string[]
  /** Whether it can be judged also where those were erased. */
  isClear?: boolean
  /** Applies the event, and says what is wrong with it. */
  judge?: Judge
  /** Changes who may do what, after the actor was judged. */
  grant?: (event: Judged, access: Access) => void
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
    'namespace.deleted.v1': { needs: 'PLATFORM', judge: registry.deleteNamespace },
    'model.created.v1': { needs: 'CONTRIBUTOR', judge: registry.createModel },
    'model.updated.v1': { needs: 'CONTRIBUTOR', judge: registry.changeModel },
    'model.renamed.v1': { needs: 'ADMIN', judge: registry.renameModel },
    'model.archived.v1': { needs: 'ADMIN', judge: registry.changeModel },
    'model.unarchived.v1': { needs: 'ADMIN', judge: registry.changeModel },
    'model.deleted.v1': { needs: 'ADMIN', reads: ['latest_number'], isClear: true, judge: registry.deleteModel },
    'version.created.v1': { needs: 'CONTRIBUTOR', judge: registry.createVersion },
    'version.updated.v1': { needs: 'CONTRIBUTOR', judge: registry.changeVersion },
    'version.deleted.v1': { needs: 'ADMIN', judge: registry.deleteVersion },
    'evaluation.created.v1': { needs: 'CONTRIBUTOR', judge: registry.measureVersion },
    'alias.moved.v1': { needs: 'CONTRIBUTOR', reads: [...MOVE, 'promotion_id'], judge: aliases.moveAlias },
    'alias.removed.v1': { needs: 'CONTRIBUTOR', reads: [...MOVE, 'promotion_id'], judge: aliases.moveAlias },
    [FORCED]: { needs: 'ADMIN', reads: [...MOVE, 'gates'], judge: aliases.forceAlias },
    'gate.created.v1': { needs: 'ADMIN', reads: GATE_RULES, judge: gates.createGate },
    'gate.updated.v1': { needs: 'ADMIN', reads: GATE_RULES, judge: gates.updateGate },
    'gate.deleted.v1': { needs: 'ADMIN', reads: GATE, judge: gates.deleteGate },
    'promotion.requested.v1': { needs: 'CONTRIBUTOR', reads: REQUEST, judge: promotions.requestPromotion },
    'promotion.approved.v1': { needs: 'APPROVER', reads: [...PROMOTION, 'gates'], judge: promotions.approvePromotion },
    'promotion.rejected.v1': { needs: 'APPROVER', reads: PROMOTION, judge: promotions.rejectPromotion },
    'promotion.withdrawn.v1': {
      needs: promotions.needsToWithdraw,
      reads: PROMOTION,
      judge: promotions.withdrawPromotion,
    },
    'promotion.voided.v1': {
      needs: 'CONTRIBUTOR',
      reads: [...PROMOTION, 'because'],
      judge: promotions.voidPromotion,
    },
    'promotion.expired.v1': {
      needs: 'CONTRIBUTOR',
      isByService: true,
      reads: PROMOTION,
      judge: promotions.expirePromotion,
    },
    [APPLIED]: {
      needs: 'CONTRIBUTOR',
      reads: [...PROMOTION, 'from', 'gates', 'approvers'],
      judge: promotions.applyPromotion,
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
/** Of other producers it is not known what they knew of roles at the time: the log does not order them. */
const PRODUCER = 'metadata'
const SHOWN = 10

/** What an auditor asks first. */
export interface Replayed {
  /** How many events. */
  events: number
  /** How many promotions moved an alias. */
  promotions: number
  /** Where an admin went past gates, as `entry 7, fraud/scorer@live`. */
  forced: string[]
}

export interface Governance {
  judge(event: Judged): void
  /** Of each entry in turn. `erased`: which of its private values were. */
  apply(index: number, event: LeafEvent, erased?: readonly string[]): void
  /** What was found wrong elsewhere. */
  complain(wrong: string): void
  /** Throws Unmet where a rule was broken. */
  finish(): void
  /** What was judged. */
  readonly replayed: Replayed
  /** What is wrong, and where. */
  readonly broken: readonly string[]
}

const NONE: readonly string[] = []

/** What rules look at of the event; undefined where none is about it. `erased`: which of its values. */
export function findJudged(index: number, event: LeafEvent, erased: readonly string[] = NONE): Judged | undefined {
  const { type, producer, outcome } = event
  const rule = RULES.get(type)
  if (!rule || producer !== PRODUCER || outcome !== 'OUTCOME_SUCCEEDED') return undefined
  return judgedOf(index, event, rule.reads ?? NONE, erased)
}

export function replayGovernance(): Governance {
  const access = noAccess()
  const state = emptyRegistry()
  const broken: string[] = []
  const replayed: Replayed = { events: 0, promotions: 0, forced: [] }
  const complain = ({ index, type, name }: Pick<Judged, 'index' | 'type' | 'name'>, wrong: string | undefined) => {
    if (wrong) broken.push(`entry ${index}, ${type} of ${name}: ${wrong}`)
  }
  return {
    broken,
    replayed,
    complain: (wrong) => void broken.push(wrong),
    judge(event) {
      const rule = RULES.get(event.type)!
      const { applied } = state
      replayed.events += 1
      if (event.type === APPLIED) replayed.promotions += 1
      if (event.type === FORCED) replayed.forced.push(`entry ${event.index}, ${event.name}`)
      complain(event, findUnentitled(event, rule, state, access))
      const wrong = rule.judge?.(event, state, access)
      complain(event, findErased(event, rule) ?? findMisplaced(event, rule) ?? wrong)
      rule.grant?.(event, access)
      if (!applied || state.applied !== applied) return
      complain({ ...applied, type: APPLIED }, 'the alias move did not follow directly')
      state.applied = undefined
    },
    apply(index, event, erased) {
      const found = findJudged(index, event, erased)
      if (found) this.judge(found)
    },
    finish() {
      if (broken.length === 0) return
      const more = broken.length > SHOWN ? `\n  and ${broken.length - SHOWN} more` : ''
      const rules = broken.length === 1 ? 'a rule was broken' : `rules were broken ${broken.length} times`
      throw new Unmet(`its signatures are valid, but ${rules}:\n  ${broken.slice(0, SHOWN).join('\n  ')}${more}`)
    },
  }
}

function findUnentitled(event: Judged, rule: Rule, state: Registry, access: Access): string | undefined {
  if (rule.isByService && isService(event)) return undefined
  const place = rule.grant ? textOf(event.details['namespace']) : event.namespace
  return judgeActor(event, typeof rule.needs === 'string' ? rule.needs : rule.needs(event, state), place, access)
}

function findErased({ erased }: Judged, { isClear }: Rule): string | undefined {
  return erased === '' || isClear ? undefined : `cannot be verified, because ${erased} was erased`
}

/** The actor's role was judged on the event's namespace, so the resource's name must begin with it. */
function findMisplaced({ name, namespace }: Judged, { judge }: Rule): string | undefined {
  const [place] = name.split('/', 1)
  return judge && place !== namespace ? `its name is not in namespace ${namespace}` : undefined
}
