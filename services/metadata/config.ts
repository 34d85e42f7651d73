import { EnvReader, type Environment } from '#lib/process/env.ts'
import { readCommonSettings, type CommonSettings } from '#lib/process/settings.ts'

export interface MetadataSettings extends CommonSettings {
  /** URL of the artifact service, which stores the files. */
  artifactAddress: string
  /** URL of the audit service, which stores the events. */
  auditAddress: string
  /** Seconds that a change waits for its index in the audit log; 0 for no wait. RPCs that the proto declares minor never
   * wait. */
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
