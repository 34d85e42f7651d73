// `npm run admin-token`: creates a token for an administrator of the installation, a new one at each call.
import { EnvReader, processEnvironment } from '#lib/process/env.ts'
import { readDatabaseUrl } from '#lib/process/settings.ts'
import { inTransaction, type Database } from '#lib/store/database.ts'
import { explainAbsence } from '#lib/store/faults.ts'
import { emitAs } from '#lib/store/outbox.ts'
import { rfc3339 } from '#lib/store/time.ts'
import { parsePrincipal } from './domain/identity.ts'
import { openStore } from './store/orm.ts'
import { findRole, lockIdentity, putRole } from './store/identity/roles.ts'
import { insertToken, timeAfter } from './store/identity/tokens.ts'

const DAYS = 365
const USAGE = `usage: npm run admin-token -- [PRINCIPAL]

Creates a new token at each call, for PRINCIPAL (default "admin"), valid for ${DAYS} days, and grants PRINCIPAL the role
ADMIN on all namespaces. Earlier tokens remain valid. The token is the only output on stdout, and is shown only once.`
const ACTOR = 'service:metadata'
const REASON = 'administrator created by admin-token'

export interface AdminTokenOptions {
  /** Whom the token stands for. Default `admin`. */
  principal?: string
  /** How long it works. Default 365. */
  days?: number
}

/** Gives the principal the role ADMIN on `*`, where it lacks it, and returns the secret of a new token. */
export async function createAdminToken(database: Database, options: AdminTokenOptions = {}): Promise<string> {
  const principal = parsePrincipal(options.principal ?? 'admin')
  return inTransaction(database, undefined, async (em) => {
    await lockIdentity(em)
    const before = await findRole(em, principal, '*')
    if (before?.role !== 'ADMIN') {
      const { id, namespace, role } = await putRole(em, principal, '*', 'ADMIN')
      const resource = { type: 'role', id, namespace: '', name: principal }
      const details = { principal, namespace, role, ...(before ? { before: before.role } : {}) }
      emitAs(em, ACTOR, { type: 'role.granted.v1', resource, reason: REASON, details })
    }
    const expireTime = await timeAfter(em, options.days ?? DAYS)
    const { token, secret } = await insertToken(em, { principal, description: REASON, expireTime })
    const resource = { type: 'token', id: token.id, namespace: '', name: principal }
    const details = { principal, expire_time: rfc3339(token.expire_time) }
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
    console.error(explainAbsence(error) ?? (error instanceof Error ? error.message : error))
    process.exitCode = 1
  })
}
