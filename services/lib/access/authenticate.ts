// Whom a bearer token stands for: a sister service by its own token, or a principal by an API token.
import type { Client } from '@connectrpc/connect'
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IdentityService, AuthenticateTokenResponse } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import type { Caller } from './caller.ts'
import type { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { fail } from '../errors/errors.ts'
import type { Authenticate } from '../server/gate.ts'

/** Names of sister services by the SHA-256 of their token, in hex. */
export type TrustedServices = ReadonlyMap<string, string>

/** Who an API token stands for, by its SHA-256. */
export type LookUpToken = (tokenHash: Buffer, signal: AbortSignal) => Promise<Caller>

export const SERVICE_TOKEN_PREFIX = 'mks_'
/** A revoked token or role works at most this long in a sister service. */
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

/** Asks the metadata service, and remembers good answers for a few seconds. */
export function askMetadata(identity: Client<typeof IdentityService>): LookUpToken {
  const known = new Map<string, { caller: Caller; until: number; expires: number }>()
  return async (hash) => {
    const key = hash.toString('base64')
    const found = known.get(key)
    if (found && found.until > Date.now() && found.expires > Date.now()) return found.caller
    known.delete(key)
    // Not tied to the asking call: a caller who goes away must not fail the others who wait.
    const answer = await identity.authenticateToken({ tokenSha256: hash }).catch(asUnauthenticated)
    const caller = tokenCaller(answer)
    if (known.size >= CACHED_TOKENS) known.clear()
    const expires = Number(answer.token!.expireTime!.seconds) * 1000
    known.set(key, { caller, until: Date.now() + CACHED_MS, expires })
    return caller
  }
}

/** TOKEN_NOT_FOUND is the sister's word for a token that opens nothing. */
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
