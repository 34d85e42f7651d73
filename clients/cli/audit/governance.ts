// Replays what the events tell, and finds what the rules of the registry did not allow: whatever a server said then, and
// whoever could write into its database. A rule is a line of the table: a new one needs nothing else.
import type { LeafEvent } from './event.ts'
import {
  applyRole,
  applyToken,
  judgeActor,
  noAccess,
  revokeToken,
  type Access,
  type Need,
} from './governance-access.ts'
import * as registry from './governance-registry.ts'
import { judgedOf, textOf, type Judged } from './judged.ts'
import { Unmet } from './verdict.ts'

interface Rule {
  /** What the actor must hold, on the event's namespace. */
  needs: Need
  /** Applies the event, and says what is wrong with it. */
  judge?: registry.Judge
  /** Changes who may do what, after the actor was judged. */
  grant?: (event: Judged, access: Access) => void
}

const { createModel, changeModel, renameModel, deleteModel, createVersion, changeVersion, deleteVersion } = registry

const RULES = new Map<unknown, Rule>(
  Object.entries<Rule>({
    'namespace.created.v1': { needs: 'PLATFORM' },
    'namespace.updated.v1': { needs: 'ADMIN' },
    'namespace.deleted.v1': { needs: 'PLATFORM', judge: registry.deleteNamespace },
    'model.created.v1': { needs: 'CONTRIBUTOR', judge: createModel },
    'model.updated.v1': { needs: 'CONTRIBUTOR', judge: changeModel },
    'model.renamed.v1': { needs: 'ADMIN', judge: renameModel },
    'model.archived.v1': { needs: 'ADMIN', judge: changeModel },
    'model.unarchived.v1': { needs: 'ADMIN', judge: changeModel },
    'model.deleted.v1': { needs: 'ADMIN', judge: deleteModel },
    'version.created.v1': { needs: 'CONTRIBUTOR', judge: createVersion },
    'version.updated.v1': { needs: 'CONTRIBUTOR', judge: changeVersion },
    'version.deleted.v1': { needs: 'ADMIN', judge: deleteVersion },
    'alias.moved.v1': { needs: 'CONTRIBUTOR', judge: registry.moveAlias },
    'alias.removed.v1': { needs: 'CONTRIBUTOR', judge: registry.moveAlias },
    'role.granted.v1': { needs: 'ADMIN', grant: (event, access) => applyRole(event, access) },
    'role.revoked.v1': { needs: 'ADMIN', grant: (event, access) => applyRole(event, access, 0) },
    'token.created.v1': { needs: 'PLATFORM', grant: applyToken },
    'token.revoked.v1': { needs: 'PLATFORM', grant: revokeToken },
  }),
)
/** Of other producers it is not known what they knew of roles at the time: the log does not order them. */
const PRODUCER = 'metadata'
const SHOWN = 10

export interface Governance {
  judge(event: Judged): void
  /** Of each entry in turn. */
  apply(index: number, event: LeafEvent): void
  /** What was found wrong elsewhere. */
  complain(wrong: string): void
  /** Throws Unmet where a rule was broken. */
  finish(): void
  /** How many events were judged. */
  readonly judged: number
  /** What is wrong, and where. */
  readonly broken: readonly string[]
}

/** What rules look at of an event's details. */
const DETAILS = ['expire_time', 'principal', 'namespace', 'role', 'latest_number', 'from', 'to', 'model_id']

/** What rules look at of the event; undefined where none is about it. */
export function findJudged(index: number, event: LeafEvent): Judged | undefined {
  const { type, producer, outcome } = event
  if (!RULES.has(type) || producer !== PRODUCER || outcome !== 'OUTCOME_SUCCEEDED') return undefined
  return judgedOf(index, event, DETAILS)
}

export function replayGovernance(): Governance {
  const access = noAccess()
  const models = registry.noModels()
  const broken: string[] = []
  let judged = 0
  return {
    broken,
    complain: (wrong) => void broken.push(wrong),
    get judged() {
      return judged
    },
    judge(event) {
      const { index, type, name, namespace, details } = event
      const rule = RULES.get(type)!
      judged += 1
      const place = rule.grant ? textOf(details['namespace']) : namespace
      for (const wrong of [judgeActor(event, rule.needs, place, access), rule.judge?.(event, models)]) {
        if (wrong) broken.push(`entry ${index}, ${type} of ${name}: ${wrong}`)
      }
      rule.grant?.(event, access)
    },
    apply(index, event) {
      const found = findJudged(index, event)
      if (found) this.judge(found)
    },
    finish() {
      if (broken.length === 0) return
      const more = broken.length > SHOWN ? `\n  and ${broken.length - SHOWN} more` : ''
      const rules = broken.length === 1 ? 'a rule was broken' : `rules were broken ${broken.length} times`
      throw new Unmet(`it is as it was signed, but ${rules}:\n  ${broken.slice(0, SHOWN).join('\n  ')}${more}`)
    },
  }
}
