import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readArtifactSettings } from '../../services/artifact/config.ts'
import { ConfigError, type Environment } from '../../services/lib/process/env.ts'
import { createTemporaryDirectory } from '../support/temporary-directory.ts'

const COMMON = {
  DATABASE_URL: 'postgresql://modelkeep@db/modelkeep',
  SERVICE_TOKEN: `mks_${'x'.repeat(40)}`,
  TRUSTED_SERVICES: `metadata=${'0'.repeat(64)}`,
  METADATA_ADDRESS: 'http://metadata:7701',
  AUDIT_ADDRESS: 'http://audit:7703',
}
const S3 = { S3_ENDPOINT: 'http://minio:9000', S3_BUCKET: 'models', S3_ACCESS_KEY: 'key', S3_SECRET_KEY: 'secret' }

function problemsOf(environment: Environment): string[] {
  try {
    readArtifactSettings(environment)
    return []
  } catch (error) {
    return (error as ConfigError).problems
  }
}

test('an S3 store is the default', () => {
  expect(readArtifactSettings({ ...COMMON, ...S3 })).toMatchObject({
    port: 7702,
    metadataAddress: 'http://metadata:7701',
    auditAddress: 'http://audit:7703',
    store: {
      kind: 's3',
      s3: {
        endpoint: 'http://minio:9000',
        bucket: 'models',
        region: 'us-east-1',
        accessKey: 'key',
        secretKey: 'secret',
        publicEndpoint: 'http://minio:9000',
        presignSeconds: 900,
      },
    },
    transferModes: 'any',
    limits: {
      uploadMemoryBytes: 256 * 1024 * 1024,
      streamIdleSeconds: 30,
      uploadExpireSeconds: 72_000,
      periods: {
        leaseSeconds: 86_400,
        graceSeconds: 90_000,
        orphanSeconds: 172_800,
        scrubDays: 30,
        scrubBytesPerSecond: 33_554_432,
      },
    },
  })
})

test('accepts a directory as the store', () => {
  const settings = readArtifactSettings({ ...COMMON, STORE: 'directory', STORE_DIRECTORY: '/var/lib/modelkeep' })
  expect(settings.store).toEqual({ kind: 'directory', path: '/var/lib/modelkeep' })
})

test('reads keys from files, such as container secrets', () => {
  const path = join(createTemporaryDirectory(), 'secret')
  writeFileSync(path, 'from a file\n')
  const { S3_SECRET_KEY: _secret, ...rest } = S3
  const settings = readArtifactSettings({ ...COMMON, ...rest, S3_SECRET_KEY_FILE: path })
  expect(settings.store).toMatchObject({ s3: { secretKey: 'from a file' } })
})

test('reports all problems at once', () => {
  const problems = problemsOf({
    STORE: 'tape',
    UPLOAD_MEMORY_MIB: '1',
    STREAM_IDLE_SECONDS: 'x',
    MAX_STREAMS: '0',
    UPLOAD_MIN_KIB_PER_SECOND: '-1',
    UPLOAD_EXPIRE_HOURS: '0',
  })
  const names = [
    'DATABASE_URL',
    'METADATA_ADDRESS',
    'AUDIT_ADDRESS',
    'STORE must be',
    'UPLOAD_MEMORY_MIB',
    'STREAM_IDLE_SECONDS',
    'MAX_STREAMS',
    'UPLOAD_MIN_KIB_PER_SECOND',
    'UPLOAD_EXPIRE_HOURS',
  ]
  for (const name of names) expect(problems.join('\n')).toContain(name)
})

test.each([
  ['STORE_DIRECTORY', { ...S3, STORE_DIRECTORY: '/x' }],
  ['S3_PUBLIC_ENDPOINT', { STORE: 'directory', STORE_DIRECTORY: '/x', S3_PUBLIC_ENDPOINT: 'http://minio:9000' }],
  ['S3_BUCKET', { STORE: 'directory', STORE_DIRECTORY: '/x', S3_BUCKET: 'models' }],
  ['S3_SECRET_KEY_FILE', { STORE: 'directory', STORE_DIRECTORY: '/x', S3_SECRET_KEY_FILE: '/run/secrets/key' }],
])('rejects %s with the other store', (name, settings) => {
  const store = 'STORE' in settings ? 'directory' : 's3'
  expect(problemsOf({ ...COMMON, ...settings })).toEqual([`${name} does not belong to STORE=${store}`])
})

test.each([
  [{ ...S3, S3_ENDPOINT: 'minio:9000' }, 'S3_ENDPOINT must be a URL'],
  [{ ...S3, S3_ENDPOINT: 'http://minio:9000/models' }, 'S3_ENDPOINT must have nothing but'],
  [{ ...S3, S3_BUCKET: 'My Models' }, 'S3_BUCKET must be'],
  [{ ...S3, S3_BUCKET: '' }, 'S3_BUCKET is missing'],
  [{ STORE: 'directory', STORE_DIRECTORY: 'models' }, 'STORE_DIRECTORY must be an absolute path'],
  [{ STORE: 'directory' }, 'STORE_DIRECTORY is missing'],
  [{ STORE: 'directory', STORE_DIRECTORY: '/x', LANES: 'direct' }, 'LANES=direct needs STORE=s3'],
  [{ ...S3, AUDIT_DOWNLOADS: 'some' }, 'AUDIT_DOWNLOADS must be one of off, manifests, all'],
  [{ ...S3, LANES: 'fast' }, 'LANES must be one of any, stream, direct'],
  [{ ...S3, S3_PUBLIC_ENDPOINT: 'https://objects.example.com/models' }, 'S3_PUBLIC_ENDPOINT must have nothing but'],
  [{ ...S3, PRESIGN_SECONDS: '604801' }, 'PRESIGN_SECONDS must be'],
  [
    { ...S3, PRESIGN_SECONDS: '2701', GARBAGE_GRACE_HOURS: '1' },
    'GARBAGE_GRACE_HOURS must be a quarter of an hour longer than PRESIGN_SECONDS',
  ],
])('rejects settings %#: %s', (settings, problem) => {
  expect(problemsOf({ ...COMMON, ...settings }).join('\n')).toContain(problem)
})

test('accepts an hour of grace with URLs valid for 45 minutes, and with a directory', () => {
  const grace = { GARBAGE_GRACE_HOURS: '1' }
  expect(problemsOf({ ...COMMON, ...S3, ...grace, PRESIGN_SECONDS: '2700' })).toEqual([])
  expect(problemsOf({ ...COMMON, ...grace, STORE: 'directory', STORE_DIRECTORY: '/x' })).toEqual([])
})
