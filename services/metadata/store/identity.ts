// Tokens and roles: whom a token stands for, and what that principal may do.
import { defineEntity, p } from '@mikro-orm/postgresql'
import { Role } from '#gen/modelkeep/metadata/v1/identity_pb.ts'
import type { LookUpToken } from '#lib/authenticate.ts'
import { fail } from '#lib/errors.ts'
import { forkFor, type Database, type EntityManager } from '#lib/store/database.ts'
import { translateFault } from '#lib/store/faults.ts'
import { createTimeColumn, timeColumn } from '#lib/store/time.ts'

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
  checks: [{ name: 'role_binding_role_check', expression: `role in ('READER', 'CONTRIBUTOR', 'ADMIN')` }],
})
export class RoleBinding extends RoleBindingSchema.class {}
RoleBindingSchema.setClass(RoleBinding)

/** A role as it is stored. */
export type RoleWord = Exclude<keyof typeof Role, 'UNSPECIFIED'>

export interface TokenRow {
  id: string
  principal: string
  description: string
  create_time: string
  expire_time: string
  revoke_time: string | null
}

export interface FoundToken {
  token: TokenRow
  expired: boolean
  roles: { namespace: string; role: RoleWord; create_time: string }[]
}

/** Everything but the hash. */
export const TOKEN_COLUMNS = 'id, principal, description, create_time, expire_time, revoke_time'

/** Unknown and revoked tokens are undefined; expired ones are not. The same one query for all. */
export async function findToken(em: EntityManager, tokenHash: Buffer): Promise<FoundToken | undefined> {
  const rows = await em.execute<
    (TokenRow & { expired: boolean; namespace: string | null; role: RoleWord; given: string })[]
  >(
    `select t.id, t.principal, t.description, t.create_time, t.expire_time, t.revoke_time,
        t.expire_time <= now() as expired, b.namespace, b.role, b.create_time as given
      from token t left join role_binding b on b.principal = t.principal
      where t.token_hash = ? order by b.namespace`,
    [tokenHash],
  )
  const [first] = rows
  if (!first || first.revoke_time !== null) return undefined
  const roles = rows.flatMap(({ namespace, role, given }) =>
    namespace === null ? [] : [{ namespace, role, create_time: given }],
  )
  return { token: first, expired: first.expired, roles }
}

/** How the metadata service itself finds out who calls: always fresh. */
export function lookUpToken(database: Database): LookUpToken {
  return async (tokenHash, signal) => {
    const found = await findToken(forkFor(database, signal), tokenHash).catch(translateFault)
    if (!found) fail('TOKEN_INVALID', 'the token is unknown or revoked')
    const { token, expired, roles } = found
    if (expired) fail('TOKEN_EXPIRED', 'the token has expired', { expire_time: rfc3339(token.expire_time) })
    return {
      principal: token.principal,
      method: 'token',
      credentialId: token.id,
      service: '',
      roles: new Map(roles.map(({ namespace, role }): [string, Role] => [namespace, Role[role]])),
    }
  }
}

/** PostgreSQL's text of a time as people and programs outside write it. */
export function rfc3339(time: string): string {
  const [whole = '', fraction = ''] = time.replace(' ', 'T').replace('+00', '').split('.')
  return `${whole}.${fraction.padEnd(6, '0')}Z`
}
