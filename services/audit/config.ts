import { EnvReader, type Environment } from '#lib/env.ts'
import { readCommonSettings, type CommonSettings } from '#lib/settings.ts'
import { readSigner, type Signer } from './signer.ts'

export interface AuditSettings extends CommonSettings {
  /** Where the metadata service is, which knows the tokens. */
  metadataAddress: string
  /** Signs checkpoints; undefined in a process that publishes none. */
  signer: Signer | undefined
  /** Keys of `details` whose values are kept outside of the leaves. */
  privateDetails: string[]
}

const DEFAULT_PORT = 7703

export function readAuditSettings(environment: Environment): AuditSettings {
  const env = new EnvReader(environment)
  const settings = {
    ...readCommonSettings(env, DEFAULT_PORT),
    metadataAddress: env.url('METADATA_ADDRESS', ['http', 'https']),
    signer: readSigner(env),
    privateDetails: readPrivateDetails(env),
  }
  env.check()
  return settings
}

const DETAIL = /^[A-Za-z0-9_-]{1,64}$/

function readPrivateDetails(env: EnvReader): string[] {
  const keys = env
    .string('AUDIT_PRIVATE_DETAILS', '')
    .split(',')
    .map((key) => key.trim())
    .filter(Boolean)
  if (!keys.every((key) => DETAIL.test(key))) env.problem('AUDIT_PRIVATE_DETAILS must look like key,other_key')
  return [...new Set(keys)].sort()
}
