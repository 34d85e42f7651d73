// A registry of one model that follows all rules, and records its actions as events.
import type { LeafEvent } from '../../clients/verifier/export/event.ts'
import { at, by, event, model, role, SERVER, token, type Init } from './governed.ts'

export const PEOPLE = ['alice', 'bob', 'carol', 'dave', 'erin']
const ALIASES = ['live', 'late', 'prod']
/** Patterns with the aliases that they match. */
const PATTERNS: [string, string[]][] = [
  ['*', ALIASES],
  ['l*', ['live', 'late']],
  ['*e', ['live', 'late']],
  ['prod', ['prod']],
]

interface Gate {
  id: string
  aliases: string[]
  revision: number
  required: number
  approvers: string[]
}

interface Promotion {
  id: string
  alias: string
  number: number
  from: number
  requester: string
  gates: Gate[]
  approvals: string[]
}

export interface Step {
  kind: 'version' | 'gate' | 'change' | 'delete' | 'request' | 'approve' | 'reject' | 'move' | 'force'
  who: number
  what: number
  which: number
}

const pick = <T>(all: readonly T[], index: number): T | undefined => all[index % all.length]

export class HonestRegistry {
  readonly events: LeafEvent[] = [
    role('alice', '*', 'ADMIN'),
    ...PEOPLE.map((name) => token(name)),
    ...PEOPLE.map((name) => role(name, 'fraud', 'APPROVER')),
    model('created'),
  ]
  /** The positions of approvals that a move needed. */
  readonly needed: number[] = []
  readonly #approvedAt = new Map<string, number[]>()
  readonly #creators: string[] = []
  readonly #at: Record<string, number> = {}
  #gates: Gate[] = []
  #waiting: Promotion[] = []
  #count = 0

  take({ kind, who, what, which }: Step): void {
    const name = pick(PEOPLE, who)!
    const alias = pick(ALIASES, which)!
    if (kind === 'version') this.#createVersion(name)
    if (kind === 'gate') this.#createGate(what, which)
    if (kind === 'change') this.#changeGate(what, which)
    if (kind === 'delete') this.#deleteGate(which)
    if (kind === 'request') this.#request(name, alias, what)
    if (kind === 'approve') this.#approve(name, which)
    if (kind === 'reject') this.#reject(name, which)
    if (kind === 'move') this.#move(name, alias, what)
    if (kind === 'force') this.#force(alias, what)
  }

  #record(type: string, who: string, init: Init): void {
    this.events.push(event(type, { actor: by(who), ...init }))
  }

  #createVersion(who: string): void {
    const number = this.#creators.push(who)
    const resource = { id: `v${number}`, namespace: 'fraud', name: `fraud/scorer:${number}`, digest: digestOf(number) }
    this.#record('version.created', who, { resource })
  }

  #createGate(what: number, which: number): void {
    const gate = { ...rulesOf(what, which), id: `g${(this.#count += 1)}`, revision: 1 }
    this.#gates.push(gate)
    this.#recordGate('created', gate, what)
    this.#void(gate.aliases, 'GATE_CHANGED')
  }

  #changeGate(what: number, which: number): void {
    const gate = pick(this.#gates, which)
    if (!gate) return
    const after = { ...rulesOf(what, which), id: gate.id, revision: gate.revision + 1 }
    this.#gates[this.#gates.indexOf(gate)] = after
    this.#recordGate('updated', after, what)
    this.#void([...gate.aliases, ...after.aliases], 'GATE_CHANGED')
  }

  #deleteGate(which: number): void {
    const gate = pick(this.#gates, which)
    if (!gate) return
    this.#gates = this.#gates.filter((other) => other !== gate)
    this.#recordGate('deleted', { ...gate, revision: gate.revision + 1 })
    this.#void(gate.aliases, 'GATE_CHANGED')
  }

  #recordGate(how: string, { id, revision, required, approvers }: Gate, what?: number): void {
    const rules = what !== undefined && {
      alias_pattern: pick(PATTERNS, what)![0],
      approvals_required: required,
      approvers,
      conditions: [{}],
      expiry_seconds: 600,
    }
    const resource = { id, namespace: 'fraud', name: `fraud/${id}` }
    this.#record(`gate.${how}`, 'alice', { resource, details: { model_id: '', revision, ...rules } })
  }

  #request(requester: string, alias: string, what: number): void {
    const number = 1 + (what % Math.max(1, this.#creators.length))
    const from = this.#at[alias] ?? 0
    if (number > this.#creators.length || number === from) return
    const gates = this.#gates.filter(({ aliases }) => aliases.includes(alias))
    const promotion = { id: `p${(this.#count += 1)}`, alias, number, from, requester, gates, approvals: [] }
    const [creator, expires] = [this.#creators[number - 1], at(9)]
    const details = { from, creator, expire_time: expires, gates: listOf(gates, true), evaluations: [] }
    this.#recordPromotion('requested', requester, promotion, details)
    this.#waiting.push(promotion)
    this.#settle(promotion, requester)
  }

  #approve(who: string, which: number): void {
    const promotion = pick(this.#waiting, which)
    if (!promotion || !this.#mayDecide(promotion, who)) return
    promotion.approvals.push(who)
    const places = this.#approvedAt.get(promotion.id) ?? []
    this.#approvedAt.set(promotion.id, [...places, this.events.length])
    this.#recordPromotion('approved', who, promotion, { gates: listOf(promotion.gates, false) })
    this.#settle(promotion, who)
  }

  #mayDecide({ requester, number, approvals, gates }: Promotion, who: string): boolean {
    const isOwn = who === requester || who === this.#creators[number - 1]
    return !isOwn && !approvals.includes(who) && gates.some(({ approvers }) => isAmong(approvers, who))
  }

  #settle(promotion: Promotion, who: string): void {
    const { id, alias, number, from, gates, approvals } = promotion
    const missing = gates.filter(
      (gate) => approvals.filter((one) => isAmong(gate.approvers, one)).length < gate.required,
    )
    if (missing.length > 0) return
    this.needed.push(...(this.#approvedAt.get(id) ?? []))
    this.#waiting = this.#waiting.filter((other) => other !== promotion)
    const details = { from, gates: listOf(gates, true), evaluations: [], approvers: approvals }
    this.#recordPromotion('applied', who, promotion, details)
    this.#recordMove('moved', who, alias, number, { promotion_id: id })
  }

  #reject(who: string, which: number): void {
    const promotion = pick(this.#waiting, which)
    if (!promotion || !this.#mayDecide(promotion, who)) return
    this.#waiting = this.#waiting.filter((other) => other !== promotion)
    this.#recordPromotion('rejected', who, promotion, {})
  }

  #move(who: string, alias: string, what: number): void {
    const number = what % (this.#creators.length + 1)
    const isGuarded = this.#gates.some(({ aliases }) => aliases.includes(alias))
    if (isGuarded || number === (this.#at[alias] ?? 0)) return
    this.#recordMove(number === 0 ? 'removed' : 'moved', who, alias, number, {})
  }

  #force(alias: string, what: number): void {
    const number = what % (this.#creators.length + 1)
    const gates = this.#gates.filter(({ aliases }) => aliases.includes(alias))
    if (gates.length === 0 || number === (this.#at[alias] ?? 0)) return
    this.#recordMove('forced', 'alice', alias, number, { gates: listOf(gates, false) })
  }

  #recordMove(how: string, who: string, alias: string, to: number, more: object): void {
    const from = this.#at[alias] ?? 0
    this.#at[alias] = to
    const digest = digestOf(to)
    const resource = { id: alias, namespace: 'fraud', name: `fraud/scorer@${alias}`, digest }
    const details = { from, to, model_id: 'm', ...more }
    this.#record(`alias.${how}`, who, { resource, beforeDigest: digestOf(from), afterDigest: digest, details })
    this.#void([alias], 'ALIAS_MOVED', who)
  }

  #void(aliases: string[], because: string, who = 'alice'): void {
    for (const promotion of this.#waiting.filter(({ alias }) => aliases.includes(alias))) {
      this.#recordPromotion('voided', who, promotion, { because })
    }
    this.#waiting = this.#waiting.filter(({ alias }) => !aliases.includes(alias))
  }

  #recordPromotion(how: string, who: string, { id, alias, number, from }: Promotion, more: object): void {
    const digest = digestOf(number)
    this.#record(`promotion.${how}`, who, {
      ...(who === '' && { actor: SERVER }),
      resource: { id, namespace: 'fraud', name: `fraud/scorer@${alias}`, digest },
      beforeDigest: digestOf(from),
      afterDigest: digest,
      details: { model_id: 'm', alias, number, ...more },
    })
  }
}

const digestOf = (number: number): string => (number === 0 ? '' : `sha256:${number}`)

function rulesOf(what: number, which: number): Pick<Gate, 'aliases' | 'required' | 'approvers'> {
  return {
    aliases: pick(PATTERNS, what)![1],
    required: which % 3,
    approvers: what % 2 === 0 ? [] : PEOPLE.filter((_, index) => (which >> index) % 2 === 0),
  }
}

const isAmong = (approvers: string[], who: string): boolean => approvers.length === 0 || approvers.includes(who)

const listOf = (gates: Gate[], hasConditions: boolean) =>
  gates.map(({ id, revision }) => ({ id, revision, ...(hasConditions && { conditions: ['TRUE'] }) }))
