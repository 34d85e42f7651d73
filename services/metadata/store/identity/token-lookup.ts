// Hot reads: one for each token that this service has not cached, and one for each that another service has not.
import { sql } from 'kysely'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import type { FoundCaller } from '#lib/access/caller-cache.ts'
import { fail } from '#lib/errors/errors.ts'
import { forkFor, type Database, type EntityManager } from '#lib/store/database.ts'
import { translateFault } from '#lib/store/faults.ts'
import { prepare, runPrepared } from '#lib/store/prepared.ts'
import { query } from '#lib/store/query.ts'
import { rfc3339 } from '#lib/store/time.ts'
import type { RoleName } from '../../domain/identity.ts'
import { RoleBinding } from './role-binding.ts'
import { Token } from './token.ts'
import { readRow } from '../rows.ts'

/** The reason why a known token is rejected. */
export type TokenRejection = 'TOKEN_REVOKED' | 'TOKEN_EXPIRED'

/** Reports that a revoked or expired token was used. */
export type ReportRejectedToken = (
  token: { id: string; principal: string },
  reason: TokenRejection,
  requestId?: string,
) => Promise<void>

export interface FoundToken {
  token: Token
  rejected: TokenRejection | undefined
  roles: RoleBinding[]
}

/** Returns the token and the roles of its principal, by namespace; undefined for an unknown token. */
export async function findToken(em: EntityManager, tokenHash: Buffer): Promise<FoundToken | undefined> {
  const [row] = await query<{ expired: boolean; roles: object[] }>(
    em,
    sql`select id, principal, description, create_time, expire_time, revoke_time, expire_time <= now() as expired,
        (select coalesce(jsonb_agg(to_jsonb(b) || jsonb_build_object('create_time', b.create_time::text)
            order by namespace), '[]')
          from role_binding b where b.principal = token.principal) as roles
      from token where token_hash = ${tokenHash}`,
  )
  if (!row) return undefined
  const token = readRow(em, Token, row)
  const roles = row.roles.map((role) => readRow(em, RoleBinding, role))
  return { token, rejected: rejectionOf(token.revokeTime !== null, row.expired), roles }
}

function rejectionOf(revoked: boolean, expired: boolean): TokenRejection | undefined {
  if (revoked) return 'TOKEN_REVOKED'
  return expired ? 'TOKEN_EXPIRED' : undefined
}

interface CallerToken {
  id: string
  principal: string
  expire_time: string
  revoked: boolean
  expired: boolean
  /** Namespace and role, for example `default READER`. */
  roles: string[]
}

const FIND_CALLER = prepare<CallerToken>(
  'find-caller',
  sql`select id, principal, expire_time, revoke_time is not null as revoked, expire_time <= now() as expired,
      array(select namespace || ' ' || role from role_binding b where b.principal = token.principal) as roles
    from token where token_hash = $1`,
)

/** Finds the caller that a token stands for. Throws TOKEN_INVALID or TOKEN_EXPIRED. */
export async function findCaller(
  database: Database,
  tokenHash: Buffer,
  report?: ReportRejectedToken,
): Promise<FoundCaller> {
  const [found] = await runPrepared(forkFor(database), FIND_CALLER, [tokenHash]).catch(translateFault)
  const rejected = found && rejectionOf(found.revoked, found.expired)
  if (rejected) await report?.(found, rejected)
  if (!found || rejected === 'TOKEN_REVOKED') fail('TOKEN_INVALID', 'token is unknown or revoked')
  const { id, principal, expire_time: end } = found
  if (rejected) fail('TOKEN_EXPIRED', 'token has expired', { expire_time: rfc3339(end) })
  const roles = new Map(found.roles.map(parseBinding))
  const caller = { principal, method: 'token' as const, credentialId: id, service: '', roles }
  return { caller, expires: Date.parse(rfc3339(end)) }
}

function parseBinding(text: string): [string, Role] {
  const [namespace, role] = text.split(' ') as [string, RoleName]
  return [namespace, Role[role]]
}
