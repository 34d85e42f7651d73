// Who could do what, when: tokens and roles as the events tell of them.
import type { Judged } from './judged.ts'
import { textOf, timeOf } from '../export/values.ts'

/** What the least role is called that may do it. `PLATFORM` is ADMIN on all namespaces. */
export type Need = 'CONTRIBUTOR' | 'APPROVER' | 'ADMIN' | 'PLATFORM'

const RANKS: Record<string, number> = { READER: 1, CONTRIBUTOR: 2, APPROVER: 3, ADMIN: 4 }
const EVERYWHERE = '*'
const SERVER = 'service:metadata'
/** A call that was admitted may commit a little after its role or token has ended. */
const GRACE_MS = 60_000

interface Role {
  rank: number
  /** Before the last change, which was at `changed`. */
  before: number
  changed: number
}

interface Token {
  principal: string
  /** In milliseconds. */
  expires: number
  revoked: number
}

export interface Access {
  /** By namespace within those by principal. */
  roles: Map<string, Map<string, Role>>
  tokens: Map<string, Token>
}

export function noAccess(): Access {
  return { roles: new Map(), tokens: new Map() }
}

export function applyToken({ id, details }: Judged, { tokens }: Access): void {
  const expires = timeOf(details['expire_time'], 0)
  tokens.set(id, { principal: textOf(details['principal']), expires, revoked: Infinity })
}

export function revokeToken({ id, time }: Judged, { tokens }: Access): void {
  const token = tokens.get(id)
  if (token) token.revoked = time
}

export function applyRole(
  { details, time }: Judged,
  { roles }: Access,
  rank = RANKS[textOf(details['role'])] ?? 0,
): void {
  const [principal, namespace] = [textOf(details['principal']), textOf(details['namespace'])]
  const held = roles.get(principal) ?? new Map<string, Role>()
  held.set(namespace, { rank, before: held.get(namespace)?.rank ?? 0, changed: time })
  roles.set(principal, held)
}

/** Whether the service did it by itself. */
export function isService({ principal, method }: Judged): boolean {
  return method === 'service' && principal === SERVER
}

/** What is wrong with the actor; undefined where it could do this. */
export function judgeActor(event: Judged, need: Need, namespace: string, access: Access): string | undefined {
  const { principal, method, credentialId, time } = event
  const who = principal || 'nobody'
  if (method !== 'token') return `done by ${who} without a token`
  const token = access.tokens.get(credentialId)
  if (token?.principal !== principal) return `done with a token that was not issued to ${who}`
  if (time > Math.min(token.expires, token.revoked) + GRACE_MS) return `the token of ${who} had expired or was revoked`
  const [role, place] = need === 'PLATFORM' ? (['ADMIN', EVERYWHERE] as const) : ([need, namespace] as const)
  if (holdsRole({ principal, role, namespace: place, time }, access)) return undefined
  return `${who} lacked the role ${need} on ${place}`
}

interface Holding {
  principal: string
  /** Or one that may do more. */
  role: Exclude<Need, 'PLATFORM'>
  namespace: string
  time: number
}

export function holdsRole({ principal, role, namespace, time }: Holding, access: Access): boolean {
  const roles = access.roles.get(principal)
  return [EVERYWHERE, namespace].some((place) => rankAt(roles?.get(place), time) >= RANKS[role]!)
}

function rankAt(role: Role | undefined, time: number): number {
  if (!role) return 0
  return time - role.changed <= GRACE_MS ? Math.max(role.rank, role.before) : role.rank
}
