import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { sisterClient } from '#lib/clients.ts'
import type { Environment } from '#lib/env.ts'
import { createLogger } from '#lib/log.ts'
import { runUntilSignal } from '#lib/service.ts'
import { readAuditSettings } from './config.ts'
import { auditService } from './service.ts'
import { openStore } from './store/orm.ts'

export async function runAudit(environment: Environment): Promise<void> {
  const settings = readAuditSettings(environment)
  const logger = createLogger('audit', settings.logLevel)
  const draining = new AbortController()
  const service = auditService({
    database: openStore({ url: settings.databaseUrl, poolSize: settings.databasePoolSize }),
    logger,
    draining: draining.signal,
    trustedServices: settings.trustedServices,
    identity: sisterClient(IdentityService, {
      name: 'metadata',
      address: settings.metadataAddress,
      token: settings.serviceToken,
    }),
  })
  await runUntilSignal(service, { ...settings, name: 'audit', logger, draining })
}
