import type { Client } from '@connectrpc/connect'
import { IngestService } from '#gen/modelkeep/audit/v1/ingest_service_pb.ts'
import { LogService } from '#gen/modelkeep/audit/v1/log_service_pb.ts'
import type { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { askMetadata, createAuthenticate, type TrustedServices } from '#lib/authenticate.ts'
import type { Logger } from '#lib/log.ts'
import type { Service } from '#lib/service.ts'
import { forkFor, type Database } from '#lib/store/database.ts'
import { logRoutes, type LogDeps } from './rpc/log.ts'
import { recordDenial } from './rpc/record-denial.ts'
import { createTail } from './rpc/tail.ts'
import { readLogSize } from './store/read.ts'

export interface AuditDeps {
  database: Database
  logger: Logger
  draining: AbortSignal
  trustedServices: TrustedServices
  /** The metadata service, which knows the tokens. */
  identity: Client<typeof IdentityService>
}

/** The governance log: takes events from its sisters, and shows them to whoever may see them. */
export function auditService(deps: AuditDeps): Service {
  const { database, draining, trustedServices, identity } = deps
  const readSize = (): Promise<number> => readLogSize(forkFor(database))
  const log: LogDeps = { database, draining, tail: createTail(readSize) }
  return {
    services: [IngestService, LogService],
    routes: logRoutes(log),
    authenticate: createAuthenticate(trustedServices, askMetadata(identity)),
    recordDenial: (denial) => recordDenial(log, denial),
    check: async () => (await readSize()) >= 0,
    close: () => database.close(true),
  }
}
