// The rules of tokens and roles: who was allowed to do what at which time.
import type { ReplayEvent } from './replay-event.ts'
import { textOf, timeOf } from '../export/values.ts'

/** The least role that an action requires. `PLATFORM` is ADMIN on all namespaces. */
export type RequiredRole = 'CONTRIBUTOR' | 'APPROVER' | 'ADMIN' | 'PLATFORM'

const RANKS: Record<string, number> = { READER: 1, CONTRIBUTOR: 2, APPROVER: 3, ADMIN: 4 }
const ALL_NAMESPACES = '*'
const SERVICE = 'service:metadata'
/** An admitted call may commit shortly after its role or token has ended. */
const GRACE_MS = 60_000

interface Role {
  rank: number
  /** The rank before the last change. */
  before: number
  /** The time of the last change, in milliseconds. */
  changed: number
}

interface Token {
  principal: string
  /** The expiry in milliseconds. */
  expires: number
  revoked: number
}

export interface Access {
  /** Roles by principal, then by namespace. */
  roles: Map<string, Map<string, Role>>
  tokens: Map<string, Token>
}

export function emptyAccess(): Access {
  return { roles: new Map(), tokens: new Map() }
}

export function applyToken({ id, details }: ReplayEvent, { tokens }: Access): void {
  const expires = timeOf(details['expire_time'], 0)
  tokens.set(id, { principal: textOf(details['principal']), expires, revoked: Infinity })
}

export function revokeToken({ id, time }: ReplayEvent, { tokens }: Access): void {
  const token = tokens.get(id)
  if (token) token.revoked = time
}

export function applyRole(
  { details, time }: ReplayEvent,
  { roles }: Access,
  rank = RANKS[textOf(details['role'])] ?? 0,
): void {
  const [principal, namespace] = [textOf(details['principal']), textOf(details['namespace'])]
  const held = roles.get(principal) ?? new Map<string, Role>()
  held.set(namespace, { rank, before: held.get(namespace)?.rank ?? 0, changed: time })
  roles.set(principal, held)
}

/** Whether the metadata service itself is the actor. */
export function isService({ principal, method }: ReplayEvent): boolean {
  return method === 'service' && principal === SERVICE
}

/** Returns why the actor was not allowed to act; undefined if it was. */
export function checkActor(
  event: ReplayEvent,
  required: RequiredRole,
  namespace: string,
  access: Access,
): string | undefined {
  const { principal, method, credentialId, time } = event
  const who = principal || 'nobody'
  if (method !== 'token') return `done by ${who} without a token`
  const token = access.tokens.get(credentialId)
  if (token?.principal !== principal) return `done with a token that was not issued to ${who}`
  if (time > Math.min(token.expires, token.revoked) + GRACE_MS) return `the token of ${who} had expired or was revoked`
  const [role, place] =
    required === 'PLATFORM' ? (['ADMIN', ALL_NAMESPACES] as const) : ([required, namespace] as const)
  if (holdsRole({ principal, role, namespace: place, time }, access)) return undefined
  return `${who} lacked the role ${required} on ${place}`
}

interface RoleQuery {
  principal: string
  /** A higher role suffices, too. */
  role: Exclude<RequiredRole, 'PLATFORM'>
  namespace: string
  time: number
}

export function holdsRole({ principal, role, namespace, time }: RoleQuery, access: Access): boolean {
  const roles = access.roles.get(principal)
  return [ALL_NAMESPACES, namespace].some((place) => rankAt(roles?.get(place), time) >= RANKS[role]!)
}

function rankAt(role: Role | undefined, time: number): number {
  if (!role) return 0
  return time - role.changed <= GRACE_MS ? Math.max(role.rank, role.before) : role.rank
}
