import { EnvReader, type Environment } from '#lib/process/env.ts'
import { readCommonSettings, type CommonSettings } from '#lib/process/settings.ts'

export interface MetadataSettings extends CommonSettings {
  /** Where the artifact service is, which keeps the bytes. */
  artifactAddress: string
  /** Where the audit service is, which keeps the events. */
  auditAddress: string
  /** How long the gravest changes wait for the audit log's index; 0 for not at all. */
  failClosedSeconds: number
}

const DEFAULT_PORT = 7701

export function readMetadataSettings(environment: Environment): MetadataSettings {
  const env = new EnvReader(environment)
  const settings = {
    ...readCommonSettings(env, DEFAULT_PORT),
    artifactAddress: env.url('ARTIFACT_ADDRESS', ['http', 'https']),
    auditAddress: env.url('AUDIT_ADDRESS', ['http', 'https']),
    failClosedSeconds: env.integer('FAIL_CLOSED_SECONDS', 0, { min: 0, max: 25 }),
  }
  env.check()
  return settings
}
