// The state of the registry that the replay derives from events, and the type of a rule's check.
import type { Access } from './access.ts'
import type { ReplayEvent } from './replay-event.ts'

interface Version {
  digest: string
  creator: string
}

export interface Model {
  namespace: string
  /** Namespace and name, such as `fraud/scorer`. */
  name: string
  /** The highest version number so far, deleted versions included. */
  lastNumber: number
  /** The versions that were not deleted, by number. */
  versions: Map<number, Version>
}

interface Alias {
  /** The full name, such as `fraud/scorer@live`. */
  name: string
  modelId: string
  /** 0 if the alias was removed. */
  number: number
  digest: string
  /** The entry of its last move. */
  movedAt: number
}

export interface Gate {
  id: string
  name: string
  /** Empty if the gate guards all models of the namespace. */
  modelId: string
  revision: number
  pattern: string
  required: number
  /** The principals whose approval counts; empty if all count. */
  approvers: readonly unknown[]
  /** The number of its conditions. */
  conditions: number
  expirySeconds: number
}

export interface AliasPlace {
  namespace: string
  modelId: string
  alias: string
}

/** Gates by namespace, then by id. */
export type Gates = Map<string, Map<string, Gate>>

/** A pending promotion. */
export interface Promotion {
  namespace: string
  modelId: string
  alias: string
  number: number
  digest: string
  /** The version that the alias pointed at; 0 for none. */
  from: number
  fromDigest: string
  requester: string
  /** The creator of the version. */
  creator: string
  /** The expiry in milliseconds. */
  expires: number
  /** The entry of the request. */
  requestedAt: number
  /** The principals who approved, in order. */
  approvals: string[]
  /** Whether a gate of its alias was created, changed or deleted since the request. */
  isOutdated: boolean
}

/** The promotion that the previous event applied. The move of its alias must follow. */
export interface AppliedPromotion {
  index: number
  id: string
  name: string
  /** The principal that applied it. */
  principal: string
  modelId: string
  alias: string
  number: number
  digest: string
}

export interface Registry {
  models: Map<string, Model>
  /** Model ids by full name. */
  names: Map<string, string>
  /** Aliases by `aliasKey`. */
  aliases: Map<string, Alias>
  gates: Gates
  /** Pending promotions by id. */
  pending: Map<string, Promotion>
  /** The final state of each closed promotion, by id. */
  closed: Map<string, string>
  applied: AppliedPromotion | undefined
}

/** Applies the event to the registry. Returns the rule that the event broke, or undefined. */
export type RuleCheck = (event: ReplayEvent, registry: Registry, access: Access) => string | undefined

export function emptyRegistry(): Registry {
  return {
    models: new Map(),
    names: new Map(),
    aliases: new Map(),
    gates: new Map(),
    pending: new Map(),
    closed: new Map(),
    applied: undefined,
  }
}

export function aliasKey(modelId: string, alias: string): string {
  return `${modelId}@${alias}`
}
