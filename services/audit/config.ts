import { EnvReader, type Environment } from '#lib/process/env.ts'
import { readCommonSettings, readText, type CommonSettings } from '#lib/process/settings.ts'
import { readCosigning, type Cosigning } from './witnesses/cosigning.ts'
import type { Retention, RetentionClass } from './domain/retention.ts'
import { readSigner, type Signer } from './signer.ts'
import type { WormSettings } from './jobs/worm.ts'

export interface AuditSettings extends CommonSettings {
  /** Address of the metadata service, which knows the tokens. */
  metadataAddress: string
  /** Signs checkpoints; undefined in a process that publishes no checkpoints. */
  signer: Signer | undefined
  /** Keys of `details` whose values are stored beside the leaves, not in them. */
  privateDetails: string[]
  /** How long private values are stored. */
  retention: Retention
  /** The witnesses whose cosignatures the checkpoints need; undefined without a policy. */
  cosigning: Cosigning | undefined
  /** The locked bucket to which the log is copied; undefined without one. */
  worm: WormSettings | undefined
  /** Limit of the watches and exports at a time. */
  maxStreams: number
}

const DEFAULT_PORT = 7703

export function readAuditSettings(environment: Environment): AuditSettings {
  const env = new EnvReader(environment)
  const settings = {
    ...readCommonSettings(env, DEFAULT_PORT),
    metadataAddress: env.url('METADATA_ADDRESS', ['http', 'https']),
    signer: readSigner(env),
    privateDetails: readPrivateDetails(env),
    retention: readRetention(env),
    cosigning: readCosigning(env),
    worm: readWorm(env),
    maxStreams: env.integer('MAX_STREAMS', 1024, { min: 1, max: 1_000_000 }),
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
  if (!keys.every((key) => DETAIL.test(key))) env.problem('AUDIT_PRIVATE_DETAILS must have the form key,other_key')
  return [...new Set(keys)].sort()
}

export function readRetention(env: EnvReader): Retention {
  const days = (name: RetentionClass) =>
    env.integer(`AUDIT_RETENTION_${name}_DAYS`, 0, { min: 0, max: 36_500 }) * DAY_SECONDS
  return { OPERATIONAL: days('OPERATIONAL'), SECURITY: days('SECURITY'), GOVERNANCE: days('GOVERNANCE') }
}

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/
const PREFIX = /^([A-Za-z0-9._-]+\/)*$/
const DAY_SECONDS = 86_400

function readWorm(env: EnvReader): WormSettings | undefined {
  const alarmSeconds = env.integer('WORM_S3_ALARM_SECONDS', 60, { min: 1, max: 86_400 })
  const region = env.string('WORM_S3_REGION', 'us-east-1')
  const prefix = env.string('WORM_S3_PREFIX', '')
  const names = [
    'ENDPOINT',
    'BUCKET',
    'ACCESS_KEY',
    'ACCESS_KEY_FILE',
    'SECRET_KEY',
    'SECRET_KEY_FILE',
    'RETENTION_DAYS',
  ]
  if (names.every((name) => env.string(`WORM_S3_${name}`, '') === '')) return undefined
  const endpoint = env.url('WORM_S3_ENDPOINT', ['http', 'https'])
  if (URL.canParse(endpoint) && new URL(endpoint).origin !== endpoint.replace(/\/$/, '')) {
    env.problem('WORM_S3_ENDPOINT must have a scheme, a host and a port only')
  }
  const bucket = env.string('WORM_S3_BUCKET')
  if (bucket !== '' && !BUCKET.test(bucket)) {
    env.problem('WORM_S3_BUCKET must be 3 to 63 lower-case letters, digits, . or -')
  }
  if (!PREFIX.test(prefix)) env.problem('WORM_S3_PREFIX must have the form audit/ or audit/prod/')
  const accessKey = env.secret('WORM_S3_ACCESS_KEY', readText)
  const secretKey = env.secret('WORM_S3_SECRET_KEY', readText)
  // The retention cannot be shortened afterwards, so it has no default.
  env.string('WORM_S3_RETENTION_DAYS')
  const retentionMs = env.integer('WORM_S3_RETENTION_DAYS', 1, { min: 1, max: 36_500 }) * DAY_SECONDS * 1000
  return {
    endpoint: endpoint.replace(/\/$/, ''),
    region,
    bucket,
    prefix,
    accessKey,
    secretKey,
    retentionMs,
    alarmSeconds,
  }
}
