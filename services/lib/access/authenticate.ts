// Authentication of bearer tokens: a peer service by its own token, a principal by an API token.
import type { Client } from '@connectrpc/connect'
import { LRUCache } from 'lru-cache'
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IdentityService, AuthenticateTokenResponse } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import type { Caller } from './caller.ts'
import type { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { fail } from '../errors/errors.ts'
import type { Authenticate } from '../server/gate.ts'

/** Names of peer services by the SHA-256 of their token, in hex. */
export type TrustedServices = ReadonlyMap<string, string>

/** Finds the caller to whom an API token belongs, by its SHA-256. Throws TOKEN_INVALID or TOKEN_EXPIRED. */
export type LookUpToken = (tokenHash: Buffer, signal: AbortSignal) => Promise<Caller>

export const SERVICE_TOKEN_PREFIX = 'mks_'
/** A revoked token or role is accepted at most this long by a service other than metadata. */
const CACHED_MS = 5_000
const CACHED_TOKENS = 10_000

export function createAuthenticate(trusted: TrustedServices, lookUp: LookUpToken): Authenticate {
  return async (token, signal) => {
    const hash = hashToken(token)
    if (!token.startsWith(SERVICE_TOKEN_PREFIX)) return lookUp(hash, signal)
    for (const [known, service] of trusted) {
      if (timingSafeEqual(hash, Buffer.from(known, 'hex'))) return serviceCaller(service)
    }
    fail('TOKEN_INVALID', 'token is unknown or revoked')
  }
}

/** Looks tokens up in the metadata service, and caches the callers it finds for a few seconds. */
export function createTokenLookup(identity: Client<typeof IdentityService>): LookUpToken {
  const known = new LRUCache<string, { caller: Caller; until: number }>({ max: CACHED_TOKENS })
  return async (hash) => {
    const key = hash.toString('base64')
    const cached = known.get(key)
    if (cached && cached.until > Date.now()) return cached.caller
    known.delete(key)
    // The lookup ignores the call's signal: a caller that disconnects must not fail others that wait for it.
    const found = await identity.authenticateToken({ tokenSha256: hash }).catch(asUnauthenticated)
    const caller = tokenCaller(found)
    const expires = Number(found.token!.expireTime!.seconds) * 1000
    known.set(key, { caller, until: Math.min(Date.now() + CACHED_MS, expires) })
    return caller
  }
}

/** The metadata service reports an unusable token as TOKEN_NOT_FOUND. */
function asUnauthenticated(error: unknown): never {
  const { reason, metadata } = error as { reason?: string; metadata?: Record<string, string> }
  if (reason !== 'TOKEN_NOT_FOUND') throw error
  if (metadata?.['expire_time']) fail('TOKEN_EXPIRED', 'token has expired', metadata)
  fail('TOKEN_INVALID', 'token is unknown or revoked')
}

function tokenCaller({ token, roles }: AuthenticateTokenResponse): Caller {
  return {
    principal: token!.principal,
    method: 'token',
    credentialId: token!.id,
    service: '',
    roles: new Map(roles.map(({ namespace, role }): [string, Role] => [namespace, role])),
  }
}

function serviceCaller(service: string): Caller {
  return { principal: `service:${service}`, method: 'service', credentialId: '', service, roles: new Map() }
}

export function hashToken(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
