// Authentication of bearer tokens: a peer service by its own token, a principal by an API token.
import type { Client } from '@connectrpc/connect'
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IdentityService, AuthenticateTokenResponse } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { createCallerCache, type FoundCaller, type LookUpToken } from './caller-cache.ts'
import type { Caller } from './caller.ts'
import type { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import { fail } from '../errors/errors.ts'
import type { Authenticate } from '../server/gate.ts'

/** Names of peer services by the SHA-256 of their token, in hex. */
export type TrustedServices = ReadonlyMap<string, string>

export const SERVICE_TOKEN_PREFIX = 'mks_'

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

/** Looks tokens up in the metadata service, and remembers the callers that it finds for a moment. */
export function createTokenLookup(identity: Client<typeof IdentityService>): LookUpToken {
  const find = async (tokenSha256: Buffer): Promise<FoundCaller> => {
    const found = await identity.authenticateToken({ tokenSha256 }).catch(asUnauthenticated)
    return { caller: tokenCaller(found), expires: Number(found.token!.expireTime!.seconds) * 1000 }
  }
  return createCallerCache(find).lookUp
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
