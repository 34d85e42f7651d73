// The state that the replay builds from events, and the form of a rule.
import type { Access } from './access.ts'
import type { Judged } from './judged.ts'

interface Version {
  digest: string
  creator: string
}

export interface Model {
  namespace: string
  /** With its namespace. */
  name: string
  lastNumber: number
  /** By number, those that were not deleted. */
  versions: Map<number, Version>
}

interface Alias {
  /** As people write it. */
  name: string
  model: string
  /** 0 where it was removed. */
  number: number
  digest: string
  /** The entry of its last move. */
  movedAt: number
}

export interface Gate {
  id: string
  name: string
  /** Empty: all models of the namespace. */
  modelId: string
  revision: number
  pattern: string
  required: number
  /** Whose approval counts; empty: anybody's. */
  approvers: readonly unknown[]
  /** How many it has. */
  conditions: number
  expirySeconds: number
}

export interface Place {
  namespace: string
  modelId: string
  alias: string
}

/** By id within those by namespace. */
export type Gates = Map<string, Map<string, Gate>>

/** One that waits. */
export interface Promotion {
  namespace: string
  modelId: string
  alias: string
  number: number
  digest: string
  /** Where the alias pointed; 0 for nowhere. */
  from: number
  fromDigest: string
  requester: string
  /** Of the version. */
  creator: string
  /** In milliseconds. */
  expires: number
  /** The entry that asked for it. */
  askedAt: number
  /** Who approved, in order. */
  approvals: string[]
  /** A gate of its alias was made, changed or deleted since. */
  isOutdated: boolean
}

/** One that was applied by the event before, which the move must follow. */
export interface Applied {
  index: number
  id: string
  name: string
  /** Who applied it. */
  principal: string
  modelId: string
  alias: string
  number: number
  digest: string
}

export interface Registry {
  models: Map<string, Model>
  /** Ids by the name as people write it. */
  names: Map<string, string>
  /** By `aliasKey`. */
  aliases: Map<string, Alias>
  gates: Gates
  /** Promotions that wait, by id. */
  waiting: Map<string, Promotion>
  /** What became of the others. */
  ended: Map<string, string>
  /** The promotion that the event before applied. */
  applied: Applied | undefined
}

export type Judge = (event: Judged, registry: Registry, access: Access) => string | undefined

export function emptyRegistry(): Registry {
  return {
    models: new Map(),
    names: new Map(),
    aliases: new Map(),
    gates: new Map(),
    waiting: new Map(),
    ended: new Map(),
    applied: undefined,
  }
}

export function aliasKey(modelId: string, alias: string): string {
  return `${modelId}@${alias}`
}
