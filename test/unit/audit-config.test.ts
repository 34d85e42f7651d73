import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { ConfigError } from '../../services/lib/process/env.ts'
import { readAuditSettings } from '../../services/audit/config.ts'

const ENVIRONMENT = {
  DATABASE_URL: 'postgresql://audit@localhost/modelkeep',
  SERVICE_TOKEN: `mks_${'a'.repeat(40)}`,
  TRUSTED_SERVICES: `metadata=${'0'.repeat(64)},artifact=${'1'.repeat(64)}`,
  METADATA_ADDRESS: 'http://metadata:7701',
}

test('reads its settings, with a default port', () => {
  const settings = readAuditSettings(ENVIRONMENT)
  expect(settings).toMatchObject({ host: '127.0.0.1', port: 7703, metadataAddress: 'http://metadata:7701' })
  expect([...settings.trustedServices.values()]).toEqual(['metadata', 'artifact'])
  expect(readAuditSettings({ ...ENVIRONMENT, PORT: '0', HOST: '::' })).toMatchObject({ host: '::', port: 0 })
})

function problems(environment: Record<string, string>): string[] {
  try {
    readAuditSettings(environment)
    return []
  } catch (error) {
    return (error as ConfigError).problems
  }
}

test('reports all missing and invalid settings at once', () => {
  expect(problems({}).map((problem) => problem.split(' ')[0])).toEqual([
    'DATABASE_URL',
    'SERVICE_TOKEN',
    'TRUSTED_SERVICES',
    'METADATA_ADDRESS',
  ])
  expect(problems({ ...ENVIRONMENT, PORT: 'x', METADATA_ADDRESS: 'metadata:7701' })).toEqual([
    'PORT must be a whole number from 0 to 65535',
    'METADATA_ADDRESS must be a URL that begins with http:// or https://',
  ])
})

const { privateKey } = generateKeyPairSync('ed25519')
const PEM = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()

test('reads the signing key as PEM or Base64, and has no signer without a key', () => {
  expect(readAuditSettings(ENVIRONMENT).signer).toBeUndefined()
  const named = { ...ENVIRONMENT, AUDIT_ORIGIN: 'log.example/prod' }
  const { signer } = readAuditSettings({ ...named, AUDIT_KEY: PEM, AUDIT_STATE_FILE: '/state' })
  expect(signer).toMatchObject({ origin: 'log.example/prod', stateFile: '/state' })
  expect(signer!.vkey).toMatch(/^log\.example\/prod\+[0-9a-f]{8}\+/)
  const line = privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64')
  expect(readAuditSettings({ ...named, AUDIT_KEY: line }).signer).toMatchObject({ vkey: signer!.vkey })
})

test('rejects an invalid key and an invalid origin', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'pem', type: 'pkcs8' })
  const noKey = ['AUDIT_KEY must be an Ed25519 private key, PKCS#8 in PEM or its base64 alone']
  for (const key of [rsa.toString(), 'garbage', PEM.replace('PRIVATE', 'PUBLIC').slice(0, 60)]) {
    expect(problems({ ...ENVIRONMENT, AUDIT_KEY: key, AUDIT_ORIGIN: 'log.example' })).toEqual(noKey)
  }
  expect(problems({ ...ENVIRONMENT, AUDIT_KEY: PEM })).toEqual(['AUDIT_ORIGIN is missing'])
  for (const origin of ['a log', 'a+b', 'a\tb']) {
    const wrong = ['AUDIT_ORIGIN must be a name without spaces or +, for example example.com/log']
    expect(problems({ ...ENVIRONMENT, AUDIT_KEY: PEM, AUDIT_ORIGIN: origin })).toEqual(wrong)
  }
})

test('reads a second key for a change of keys', () => {
  const other = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  const signing = { ...ENVIRONMENT, AUDIT_ORIGIN: 'log.example/prod', AUDIT_KEY: PEM }
  const { signer } = readAuditSettings({ ...signing, AUDIT_OTHER_KEY: other })
  expect([signer!.keys.length, signer!.vkeys[0], signer!.keyId]).toEqual([
    2,
    signer!.vkey,
    expect.stringMatching(/^\w{8},\w{8}$/),
  ])
  expect(problems({ ...signing, AUDIT_OTHER_KEY: PEM })).toEqual(['AUDIT_OTHER_KEY must differ from AUDIT_KEY'])
  expect(problems({ ...ENVIRONMENT, AUDIT_OTHER_KEY: other })).toEqual(['AUDIT_OTHER_KEY requires AUDIT_KEY'])
})

test('reads a policy, and reports the line of an error', () => {
  expect(readAuditSettings(ENVIRONMENT).cosigning).toBeUndefined()
  const { cosigning } = readAuditSettings({
    ...ENVIRONMENT,
    AUDIT_POLICY: 'quorum none',
    AUDIT_WITHOUT_QUORUM: 'withhold',
  })
  expect(cosigning).toMatchObject({ timeoutMs: 1_000, withhold: true, policy: { witnesses: [] } })
  expect(problems({ ...ENVIRONMENT, AUDIT_POLICY: '# none\nquorum all' })[0]).toContain(
    'line 2: the line must be "quorum NAME"',
  )
  expect(problems({ ...ENVIRONMENT, AUDIT_WITHOUT_QUORUM: 'perhaps' })).toEqual([
    'AUDIT_WITHOUT_QUORUM must be one of publish, withhold',
  ])
})

const WORM = {
  WORM_S3_ENDPOINT: 'http://minio:9000/',
  WORM_S3_BUCKET: 'modelkeep-audit',
  WORM_S3_ACCESS_KEY: 'a',
  WORM_S3_SECRET_KEY: 's',
  WORM_S3_RETENTION_DAYS: '30',
}

test('reads the locked bucket, and requires its retention time', () => {
  expect(readAuditSettings(ENVIRONMENT).worm).toBeUndefined()
  const { worm } = readAuditSettings({ ...ENVIRONMENT, ...WORM })
  expect(worm).toMatchObject({
    endpoint: 'http://minio:9000',
    retentionMs: 30 * 86_400_000,
    prefix: '',
    alarmSeconds: 60,
  })
  expect(problems({ ...ENVIRONMENT, WORM_S3_BUCKET: 'B' })).toEqual([
    'WORM_S3_ENDPOINT is missing',
    'WORM_S3_BUCKET must be 3 to 63 lower-case letters, digits, . or -',
    'WORM_S3_ACCESS_KEY is missing',
    'WORM_S3_SECRET_KEY is missing',
    'WORM_S3_RETENTION_DAYS is missing',
  ])
  expect(problems({ ...ENVIRONMENT, ...WORM, WORM_S3_PREFIX: '/x', WORM_S3_ENDPOINT: 'http://minio/bucket' })).toEqual([
    'WORM_S3_ENDPOINT must have a scheme, a host and a port only',
    'WORM_S3_PREFIX must have the form audit/ or audit/prod/',
  ])
  expect(problems({ ...ENVIRONMENT, ...WORM, WORM_S3_RETENTION_DAYS: '0' })).toHaveLength(1)
})

test('reads retention times, without limit by default', () => {
  expect(readAuditSettings(ENVIRONMENT).retention).toEqual({ OPERATIONAL: 0, SECURITY: 0, GOVERNANCE: 0 })
  const days = { AUDIT_RETENTION_OPERATIONAL_DAYS: '183', AUDIT_RETENTION_GOVERNANCE_DAYS: '3653' }
  expect(readAuditSettings({ ...ENVIRONMENT, ...days }).retention).toEqual({
    OPERATIONAL: 183 * 86_400,
    SECURITY: 0,
    GOVERNANCE: 3653 * 86_400,
  })
  expect(problems({ ...ENVIRONMENT, AUDIT_RETENTION_SECURITY_DAYS: '-1' })).toEqual([
    'AUDIT_RETENTION_SECURITY_DAYS must be a whole number from 0 to 36500',
  ])
})
