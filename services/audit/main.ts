import { IdentityService } from '#gen/modelkeep/metadata/v1/identity_service_pb.ts'
import { peerClient } from '#lib/server/peers.ts'
import type { Environment } from '#lib/process/env.ts'
import { createLogger, type Logger } from '#lib/process/log.ts'
import { runUntilSignal } from '#lib/server/service.ts'
import { readAuditSettings, type AuditSettings } from './config.ts'
import { auditService } from './service.ts'
import { openStore } from './store/orm.ts'

export async function runAudit(environment: Environment): Promise<void> {
  const settings = readAuditSettings(environment)
  const logger = createLogger('audit', settings.logLevel)
  const draining = new AbortController()
  const service = auditService({
    database: openStore(settings.database),
    logger,
    draining: draining.signal,
    trustedServices: settings.trustedServices,
    identity: peerClient(IdentityService, {
      name: 'metadata',
      address: settings.metadataAddress,
      token: settings.serviceToken,
    }),
    signer: settings.signer,
    privateDetails: settings.privateDetails,
    retention: settings.retention,
    cosigning: settings.cosigning,
    worm: settings.worm,
    maxStreams: settings.maxStreams,
  })
  logSigning(settings, logger)
  await runUntilSignal(service, { ...settings, name: 'audit', logger, draining })
}

function logSigning({ signer }: AuditSettings, logger: Logger): void {
  if (!signer) return logger.warn('AUDIT_KEY is not set; this process publishes no checkpoints')
  logger.info({ vkeys: signer.vkeys }, 'checkpoint signing enabled')
  if (!signer.stateFile)
    logger.warn('AUDIT_STATE_FILE is not set; a database restored from a backup will not be detected')
}
