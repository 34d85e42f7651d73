// Who could do what, when: tokens and roles as the events tell of them.
import type { LeafEvent } from './event.ts'

/** What the least role is called that may do it. `PLATFORM` is ADMIN on all namespaces. */
export type Need = 'CONTRIBUTOR' | 'APPROVER' | 'ADMIN' | 'PLATFORM'

const RANKS: Record<string, number> = { READER: 1, CONTRIBUTOR: 2, APPROVER: 3, ADMIN: 4 }
const EVERYWHERE = '*'
/** A call that was admitted may commit a little after its role or token has ended. */
const GRACE_MS = 60_000

interface Role {
  rank: number
  /** Before the last change, which was at `changed`. */
  before: number
  changed: number
}

interface Token {
  principal: unknown
  /** In milliseconds. */
  expires: number
  revoked: number
}

export interface Access {
  /** By namespace within those by principal. */
  roles: Map<unknown, Map<unknown, Role>>
  tokens: Map<unknown, Token>
}

export function noAccess(): Access {
  return { roles: new Map(), tokens: new Map() }
}

export function applyToken({ resource, details }: LeafEvent, { tokens }: Access): void {
  const expires = Date.parse(String(details?.['expire_time']))
  tokens.set(resource?.id, { principal: details?.['principal'], expires, revoked: Infinity })
}

export function revokeToken(event: LeafEvent, { tokens }: Access): void {
  const token = tokens.get(event.resource?.id)
  if (token) token.revoked = timeOf(event)
}

export function applyRole(
  event: LeafEvent,
  { roles }: Access,
  rank = RANKS[String(event.details?.['role'])] ?? 0,
): void {
  const { principal, namespace } = event.details ?? {}
  const held = roles.get(principal) ?? new Map<unknown, Role>()
  held.set(namespace, { rank, before: held.get(namespace)?.rank ?? 0, changed: timeOf(event) })
  roles.set(principal, held)
}

/** What is wrong with the actor; undefined where it could do this. */
export function judgeActor(event: LeafEvent, need: Need, namespace: unknown, access: Access): string | undefined {
  const { principal, method, credentialId } = event.actor ?? {}
  if (method === 'service' && principal === `service:${String(event.producer)}`) return undefined
  const who = typeof principal === 'string' && principal !== '' ? principal : 'nobody'
  if (method !== 'token') return `it was done by ${who}, who showed no token`
  const time = timeOf(event)
  const token = access.tokens.get(credentialId)
  if (token?.principal !== principal) return `it was done with a token that ${who} was not given`
  if (time > Math.min(token?.expires ?? 0, token?.revoked ?? 0) + GRACE_MS) return `the token of ${who} had ended`
  const rank = RANKS[need] ?? RANKS['ADMIN']!
  const place = need === 'PLATFORM' ? EVERYWHERE : namespace
  const roles = access.roles.get(principal)
  if (Math.max(rankAt(roles?.get(EVERYWHERE), time), rankAt(roles?.get(place), time)) >= rank) return undefined
  return `${who} had no role for it: ${need} on ${String(place)} is needed`
}

function rankAt(role: Role | undefined, time: number): number {
  if (!role) return 0
  return time - role.changed <= GRACE_MS ? Math.max(role.rank, role.before) : role.rank
}

function timeOf({ occurTime }: LeafEvent): number {
  return Date.parse(String(occurTime))
}
