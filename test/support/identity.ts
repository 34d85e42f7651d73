// IdentityService on a real database, with the real gate and interceptors, called in memory.
import { createClient, createRouterTransport, type Client } from '@connectrpc/connect'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import type { Role } from '../../gen/modelkeep/metadata/v1/identity_pb.ts'
import { IdentityService } from '../../gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { createAuthenticate, hashToken } from '../../services/lib/access/authenticate.ts'
import { createLogger } from '../../services/lib/process/log.ts'
import { adapterOptions, type Serving } from '../../services/lib/server/serve.ts'
import type { Database } from '../../services/lib/store/database.ts'
import { recordRefusal } from '../../services/lib/store/outbox.ts'
import { createAdminToken } from '../../services/metadata/admin-token.ts'
import { rejectedTokenReporter } from '../../services/metadata/rpc/identity/report-rejected-token.ts'
import { identityRoutes } from '../../services/metadata/rpc/identity/routes.ts'
import { createCallerCache } from '../../services/lib/access/caller-cache.ts'
import { findCaller } from '../../services/metadata/store/identity/token-lookup.ts'
import { openStore } from '../../services/metadata/store/orm.ts'
import { createDatabase, runSql } from './database.ts'

/** The token of the artifact service in these tests. */
export const ARTIFACT_TOKEN = `mks_${'a'.repeat(43)}`

export interface Identity {
  url: string
  database: Database
  serving: Serving
  adminToken: string
  admin: Client<typeof IdentityService>
  /** Returns how often the relay was woken. */
  wakes(): number
  /** Expires the tokens of a principal. */
  expire(principal: string): Promise<void>
  /** Every line logged so far. */
  logs: string[]
  as(token: string): Client<typeof IdentityService>
  /** A client of a new principal with a role. */
  member(principal: string, namespace: string, role: Role): Promise<Client<typeof IdentityService>>
  newToken(principal: string, lifeMs?: number): Promise<{ id: string; secret: string }>
  /** Events of the outbox in sequence, without failed attempts. */
  events(): Promise<OutboxEvent[]>
  close(): Promise<void>
}

export interface OutboxEvent {
  type: string
  reason?: string
  outcome: string
  requestId?: string
  actor: { principal: string; method: string; credentialId?: string }
  resource: { type: string; id: string; namespace?: string; name: string }
  details?: Record<string, string>
}

export async function openIdentity(): Promise<Identity> {
  const testDatabase = await createDatabase()
  const { url } = testDatabase
  const database = openStore({ url })
  const logs: string[] = []
  let woken = 0
  const wake = (): void => void (woken += 1)
  const logger = createLogger('metadata', 'info', { write: (line: string) => void logs.push(line) })
  const reportRejectedToken = rejectedTokenReporter((refusal) => recordRefusal(database, refusal), logger)
  const callers = createCallerCache((tokenHash) => findCaller(database, tokenHash, reportRejectedToken))
  const serving: Serving = {
    services: [IdentityService],
    routes: (router) =>
      router.service(
        IdentityService,
        identityRoutes({ database, relay: { wake, settle: async () => wake() }, reportRejectedToken, callers }),
      ),
    authenticate: createAuthenticate(
      new Map([[hashToken(ARTIFACT_TOKEN).toString('hex'), 'artifact']]),
      callers.lookUp,
    ),
    recordRefusal: (refusal) => recordRefusal(database, refusal),
    check: async () => true,
    draining: new AbortController().signal,
    logger,
  }
  const as = (token: string) => identityClient(serving, token)
  const adminToken = await createAdminToken(database)
  const admin = as(adminToken)
  const newToken = async (principal: string, lifeMs = 3_600_000) => {
    const { token, secret } = await admin.createToken({ principal, expireTime: timestampFromMs(Date.now() + lifeMs) })
    return { id: token!.id, secret }
  }
  return {
    url,
    database,
    serving,
    adminToken,
    admin,
    wakes: () => woken,
    logs,
    as,
    async member(principal, namespace, role) {
      await admin.grantRole({ principal, namespace, role })
      return as((await newToken(principal)).secret)
    },
    newToken,
    async expire(principal) {
      // Bypasses the trigger that requires an event for every change.
      const sql = `update metadata.token set expire_time = now() where principal = '${principal}'`
      await runSql(url, `set session_replication_role = replica; ${sql}; set session_replication_role = origin`)
    },
    async events() {
      const rows = await runSql(
        url,
        `select event from metadata.outbox where event ->> 'type' <> 'attempt.failed.v1' order by sequence`,
      )
      return (rows as { event: OutboxEvent }[]).map(({ event }) => event)
    },
    async close() {
      await database.close(true)
      await testDatabase.drop()
    },
  }
}

function identityClient(serving: Serving, token: string): Client<typeof IdentityService> {
  const { options } = adapterOptions(serving)
  const transport = createRouterTransport(options.routes, {
    router: options,
    transport: {
      interceptors: [
        (next) => (request) => {
          if (token !== '') request.header.set('authorization', `Bearer ${token}`)
          return next(request)
        },
      ],
    },
  })
  return createClient(IdentityService, transport)
}
