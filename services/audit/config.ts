import { EnvReader, type Environment } from '#lib/env.ts'
import { readCommonSettings, type CommonSettings } from '#lib/settings.ts'
import { readSigner, type Signer } from './signer.ts'

export interface AuditSettings extends CommonSettings {
  /** Where the metadata service is, which knows the tokens. */
  metadataAddress: string
  /** Signs checkpoints; undefined in a process that publishes none. */
  signer: Signer | undefined
}

const DEFAULT_PORT = 7703

export function readAuditSettings(environment: Environment): AuditSettings {
  const env = new EnvReader(environment)
  const settings = {
    ...readCommonSettings(env, DEFAULT_PORT),
    metadataAddress: env.url('METADATA_ADDRESS', ['http', 'https']),
    signer: readSigner(env),
  }
  env.check()
  return settings
}
