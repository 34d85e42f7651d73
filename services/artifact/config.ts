import { isAbsolute } from 'node:path'
import { EnvReader, type Environment } from '#lib/process/env.ts'
import { readCommonSettings, readText, type CommonSettings } from '#lib/process/settings.ts'
import { DOWNLOAD_POLICIES, type DownloadPolicy } from './domain/download-policy.ts'
import { ALLOWED_MODES, type AllowedModes } from './domain/transfer-modes.ts'
import type { ArtifactLimits } from './service.ts'
import { DEFAULT_PERIODS, type GarbagePeriods } from './jobs/garbage/collector.ts'
import type { S3Options } from './store/s3/options.ts'

export type StoreSettings = { kind: 's3'; s3: S3Options } | { kind: 'directory'; path: string }

export interface ArtifactSettings extends CommonSettings {
  /** Address of the metadata service, which authenticates tokens. */
  metadataAddress: string
  /** Address of the audit service, which stores the events. */
  auditAddress: string
  store: StoreSettings
  transferModes: AllowedModes
  /** The reads that are recorded in the audit log. */
  downloads: DownloadPolicy
  limits: ArtifactLimits
}

const DEFAULT_PORT = 7702
const MIB = 1024 * 1024
const WEEK_SECONDS = 7 * 24 * 3600
const S3_SETTINGS = [
  'S3_ENDPOINT',
  'S3_PUBLIC_ENDPOINT',
  'S3_BUCKET',
  'S3_REGION',
  'S3_ACCESS_KEY',
  'S3_ACCESS_KEY_FILE',
  'S3_SECRET_KEY',
  'S3_SECRET_KEY_FILE',
  'PRESIGN_SECONDS',
]
const DIRECTORY_SETTINGS = ['STORE_DIRECTORY']
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/

export function readArtifactSettings(environment: Environment): ArtifactSettings {
  const env = new EnvReader(environment)
  const settings = {
    ...readCommonSettings(env, DEFAULT_PORT),
    metadataAddress: env.url('METADATA_ADDRESS', ['http', 'https']),
    auditAddress: env.url('AUDIT_ADDRESS', ['http', 'https']),
    store: readStore(env),
    transferModes: env.oneOf('LANES', ALLOWED_MODES, 'any'),
    downloads: readDownloads(env),
    limits: readArtifactLimits(env),
  }
  if (settings.transferModes === 'direct' && settings.store.kind === 'directory') {
    env.problem('LANES=direct needs STORE=s3: clients cannot access a directory directly')
  }
  if (settings.store.kind === 's3') checkGrace(env, settings.store.s3, settings.limits)
  env.check()
  return settings
}

/** The clock difference that S3 servers tolerate. */
const MAX_SKEW_SECONDS = 900

function checkGrace(env: EnvReader, { presignSeconds = 0 }: S3Options, { periods }: ArtifactLimits): void {
  if (periods!.graceSeconds >= presignSeconds + MAX_SKEW_SECONDS) return
  const why = 'otherwise an object is removed before its signed URL expires'
  env.problem(`GARBAGE_GRACE_HOURS must be a quarter of an hour longer than PRESIGN_SECONDS; ${why}`)
}

export function readDownloads(env: EnvReader): DownloadPolicy {
  return env.oneOf('AUDIT_DOWNLOADS', DOWNLOAD_POLICIES, 'manifests')
}

export function readArtifactLimits(env: EnvReader): ArtifactLimits {
  return {
    uploadMemoryBytes: env.integer('UPLOAD_MEMORY_MIB', 256, { min: 32, max: 1_048_576 }) * MIB,
    maxStreams: env.integer('MAX_STREAMS', 1024, { min: 1, max: 1_000_000 }),
    uploadMinBytesPerSecond: env.integer('UPLOAD_MIN_KIB_PER_SECOND', 64, { min: 0, max: 1_048_576 }) * 1024,
    streamIdleSeconds: env.integer('STREAM_IDLE_SECONDS', 30, { min: 1, max: 3600 }),
    // MinIO removes unfinished uploads a day after they began, unless it is configured otherwise.
    uploadExpireSeconds: env.integer('UPLOAD_EXPIRE_HOURS', 20, { min: 1, max: 24 * 30 }) * 3600,
    uploadLimit: env.integer('UPLOADS_PER_PRINCIPAL', 1000, { min: 1, max: 100_000 }),
    periods: readPeriods(env),
  }
}

function readPeriods(env: EnvReader): GarbagePeriods {
  const { leaseSeconds, graceSeconds, orphanSeconds, scrubDays, scrubBytesPerSecond } = DEFAULT_PERIODS
  const hours = { min: 1, max: 24 * 365 }
  return {
    leaseSeconds: env.integer('GARBAGE_LEASE_HOURS', leaseSeconds / 3600, hours) * 3600,
    graceSeconds: env.integer('GARBAGE_GRACE_HOURS', graceSeconds / 3600, hours) * 3600,
    orphanSeconds: env.integer('GARBAGE_ORPHAN_HOURS', orphanSeconds / 3600, hours) * 3600,
    scrubDays: env.integer('SCRUB_DAYS', scrubDays, { min: 0, max: 3650 }),
    scrubBytesPerSecond: env.integer('SCRUB_MIB_PER_SECOND', scrubBytesPerSecond / MIB, { min: 1, max: 65_536 }) * MIB,
  }
}

function readStore(env: EnvReader): StoreSettings {
  if (env.oneOf('STORE', ['s3', 'directory'], 's3') === 'directory') {
    refuse(env, S3_SETTINGS, 'directory')
    const path = env.string('STORE_DIRECTORY')
    if (path !== '' && !isAbsolute(path)) env.problem('STORE_DIRECTORY must be an absolute path')
    return { kind: 'directory', path }
  }
  refuse(env, DIRECTORY_SETTINGS, 's3')
  return { kind: 's3', s3: readS3(env) }
}

function readS3(env: EnvReader): S3Options {
  const endpoint = readEndpoint(env, 'S3_ENDPOINT')
  const bucket = env.string('S3_BUCKET')
  if (bucket !== '' && !BUCKET.test(bucket)) env.problem('S3_BUCKET must be 3 to 63 lower-case letters, digits, . or -')
  return {
    endpoint,
    bucket,
    region: env.string('S3_REGION', 'us-east-1'),
    accessKey: env.secret('S3_ACCESS_KEY', readText),
    secretKey: env.secret('S3_SECRET_KEY', readText),
    publicEndpoint: readEndpoint(env, 'S3_PUBLIC_ENDPOINT', endpoint),
    presignSeconds: env.integer('PRESIGN_SECONDS', 900, { min: 1, max: WEEK_SECONDS }),
  }
}

function readEndpoint(env: EnvReader, name: string, fallback?: string): string {
  const endpoint = env.url(name, ['http', 'https'], fallback)
  const { pathname, search, username } = URL.canParse(endpoint) ? new URL(endpoint) : new URL('http://none')
  if (pathname !== '/' || search !== '' || username !== '') {
    env.problem(`${name} must have nothing but a scheme, a host and a port`)
  }
  return endpoint
}

function refuse(env: EnvReader, names: string[], store: string): void {
  for (const name of names) {
    if (env.string(name, '') !== '') env.problem(`${name} does not belong to STORE=${store}`)
  }
}
