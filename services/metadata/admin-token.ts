// `npm run admin-token`: creates a token for an administrator of the installation, a new one at each call.
import { EnvReader, processEnvironment } from '#lib/process/env.ts'
import { readDatabaseUrl } from '#lib/process/settings.ts'
import { inTransaction, type Database } from '#lib/store/database.ts'
import { describeUnavailable } from '#lib/store/faults.ts'
import { emitAs } from '#lib/store/outbox.ts'
import { rfc3339, transactionTime } from '#lib/store/time.ts'
import { parsePrincipal } from './domain/identity.ts'
import { openStore } from './store/orm.ts'
import { upsertRole } from './changes/role-change.ts'
import { lockIdentity } from './store/identity/identity-lock.ts'
import { RoleBinding } from './store/identity/role-binding.ts'
import { insertToken } from './store/identity/token-secret.ts'

const DAYS = 365
const USAGE = `usage: npm run admin-token -- [PRINCIPAL]

Creates a new token at each call, for PRINCIPAL (default "admin"), valid for ${DAYS} days, and grants PRINCIPAL the role
ADMIN on all namespaces. Earlier tokens remain valid. The token is the only output on stdout, and is shown only once.`
const DAY_SECONDS = 86_400
const ACTOR = 'service:metadata'
const REASON = 'administrator created by admin-token'

export interface AdminTokenOptions {
  /** The principal of the token. Default `admin`. */
  principal?: string
  /** The lifetime of the token. Default 365. */
  days?: number
}

/** Grants the principal the role ADMIN on `*` unless it has it, and returns the secret of a new token. */
export async function createAdminToken(database: Database, options: AdminTokenOptions = {}): Promise<string> {
  const principal = parsePrincipal(options.principal ?? 'admin')
  return inTransaction(database, undefined, async (em) => {
    await lockIdentity(em)
    const before = await em.findOne(RoleBinding, { principal, namespace: '*' })
    const former = before?.role
    if (former !== 'ADMIN') {
      const { id, namespace, role } = await upsertRole(em, before, { principal, namespace: '*', role: 'ADMIN' })
      const resource = { type: 'role', id, namespace: '', name: principal }
      const details = { principal, namespace, role, ...(former && { before: former }) }
      emitAs(em, ACTOR, { type: 'role.granted.v1', resource, reason: REASON, details })
    }
    const expireTime = transactionTime((options.days ?? DAYS) * DAY_SECONDS)
    const { token, secret } = await insertToken(em, { principal, description: REASON, expireTime })
    const resource = { type: 'token', id: token.id, namespace: '', name: principal }
    const details = { principal, expire_time: rfc3339(token.expireTime) }
    emitAs(em, ACTOR, { type: 'token.created.v1', resource, reason: REASON, details })
    return secret
  })
}

async function main(principal: string | undefined): Promise<void> {
  if (principal === '--help' || principal === '-h') return console.log(USAGE)
  const env = new EnvReader(processEnvironment())
  const url = readDatabaseUrl(env)
  env.check()
  const database = openStore({ url })
  try {
    console.log(await createAdminToken(database, principal ? { principal } : {}))
    console.error(`New token created, valid for ${DAYS} days. It is shown only once. Earlier tokens remain valid.`)
  } finally {
    await database.close(true)
  }
}

if (import.meta.main) {
  await main(process.argv[2]).catch((error: unknown) => {
    console.error(describeUnavailable(error) ?? (error instanceof Error ? error.message : error))
    process.exitCode = 1
  })
}
