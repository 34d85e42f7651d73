// Tokens and roles: whom a token stands for, and what that principal may do.
import { defineEntity, p } from '@mikro-orm/postgresql'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import type { LookUpToken } from '#lib/access/authenticate.ts'
import { fail } from '#lib/errors/errors.ts'
import { forkFor, type Database, type EntityManager } from '#lib/store/database.ts'
import { translateFault } from '#lib/store/faults.ts'
import { createTimeColumn, rfc3339, timeColumn } from '#lib/store/time.ts'
import type { RoleWord } from '../../domain/identity.ts'

const TokenSchema = defineEntity({
  name: 'Token',
  tableName: 'token',
  properties: {
    id: p.uuid().primary(),
    principal: p.text(),
    description: p.text(),
    /** SHA-256 of the secret, which itself is nowhere. */
    tokenHash: p.blob(),
    createTime: createTimeColumn(),
    expireTime: timeColumn(),
    revokeTime: timeColumn().nullable(),
  },
  indexes: [{ name: 'token_principal_id_index', properties: ['principal', 'id'] }],
  uniques: [{ name: 'token_token_hash_unique', properties: ['tokenHash'] }],
})
export class Token extends TokenSchema.class {}
TokenSchema.setClass(Token)

const RoleBindingSchema = defineEntity({
  name: 'RoleBinding',
  tableName: 'role_binding',
  properties: {
    id: p.uuid().primary(),
    principal: p.text(),
    /** A namespace's name, or `*`. */
    namespace: p.text(),
    role: p.text().$type<RoleWord>(),
    createTime: createTimeColumn(),
  },
  indexes: [{ name: 'role_binding_namespace_principal_index', properties: ['namespace', 'principal'] }],
  uniques: [{ name: 'role_binding_principal_namespace_unique', properties: ['principal', 'namespace'] }],
  checks: [{ name: 'role_binding_role_check', expression: `role in ('READER', 'CONTRIBUTOR', 'APPROVER', 'ADMIN')` }],
})
export class RoleBinding extends RoleBindingSchema.class {}
RoleBindingSchema.setClass(RoleBinding)

export interface TokenRow {
  id: string
  principal: string
  description: string
  create_time: string
  expire_time: string
  revoke_time: string | null
}

export interface RoleRow {
  id: string
  principal: string
  namespace: string
  role: RoleWord
  create_time: string
}

/** Why a token that was valid once is no more. */
export type Death = 'TOKEN_REVOKED' | 'TOKEN_EXPIRED'

/** Told when such a token is shown. */
export type TellDeadToken = (
  token: { id: string; principal: string },
  death: Death,
  requestId?: string,
) => Promise<void>

export interface FoundToken {
  token: TokenRow
  death: Death | undefined
  roles: RoleRow[]
}

/** Unknown tokens are undefined. The same one query for all. */
export async function findToken(em: EntityManager, tokenHash: Buffer): Promise<FoundToken | undefined> {
  const [found] = await em.execute<(TokenRow & { expired: boolean; roles: RoleRow[] })[]>(
    `select id, principal, description, create_time, expire_time, revoke_time, expire_time <= now() as expired,
        (select coalesce(jsonb_agg(to_jsonb(b) || jsonb_build_object('create_time', b.create_time::text)
            order by namespace), '[]')
          from role_binding b where b.principal = token.principal) as roles
      from token where token_hash = ?`,
    [tokenHash],
  )
  return found && { token: found, death: findDeath(found.revoke_time !== null, found.expired), roles: found.roles }
}

function findDeath(revoked: boolean, expired: boolean): Death | undefined {
  if (revoked) return 'TOKEN_REVOKED'
  return expired ? 'TOKEN_EXPIRED' : undefined
}

interface CallerRow {
  id: string
  principal: string
  expire_time: string
  revoked: boolean
  expired: boolean
  /** Namespace and role, as `default READER`. */
  roles: string[]
}

/** How the metadata service itself finds out who calls: always fresh, so before every call, and kept light for that. */
export function lookUpToken(database: Database, tellDead?: TellDeadToken): LookUpToken {
  return async (tokenHash, signal) => {
    const sql = `select id, principal, expire_time, revoke_time is not null as revoked, expire_time <= now() as expired,
        array(select namespace || ' ' || role from role_binding b where b.principal = token.principal) as roles
      from token where token_hash = ?`
    const [found] = await forkFor(database, signal).execute<CallerRow[]>(sql, [tokenHash]).catch(translateFault)
    const death = found && findDeath(found.revoked, found.expired)
    if (death) await tellDead?.(found, death)
    if (!found || death === 'TOKEN_REVOKED') fail('TOKEN_INVALID', 'token is unknown or revoked')
    const { id, principal, expire_time: end } = found
    if (death) fail('TOKEN_EXPIRED', 'token has expired', { expire_time: rfc3339(end) })
    return { principal, method: 'token', credentialId: id, service: '', roles: new Map(found.roles.map(parseBinding)) }
  }
}

function parseBinding(text: string): [string, Role] {
  const [namespace, role] = text.split(' ') as [string, RoleWord]
  return [namespace, Role[role]]
}
