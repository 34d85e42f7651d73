import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { ConfigError } from '../../services/lib/env.ts'
import { readAuditSettings } from '../../services/audit/config.ts'

const ENVIRONMENT = {
  DATABASE_URL: 'postgresql://audit@localhost/modelkeep',
  SERVICE_TOKEN: `mks_${'a'.repeat(40)}`,
  TRUSTED_SERVICES: `metadata=${'0'.repeat(64)},artifact=${'1'.repeat(64)}`,
  METADATA_ADDRESS: 'http://metadata:7701',
}

test('reads its settings, with a port of its own', () => {
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

test('tells all that is missing or wrong at once', () => {
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

test('takes the signing key as PEM or as one line, and signs nothing without one', () => {
  expect(readAuditSettings(ENVIRONMENT).signer).toBeUndefined()
  const named = { ...ENVIRONMENT, AUDIT_ORIGIN: 'log.example/prod' }
  const { signer } = readAuditSettings({ ...named, AUDIT_KEY: PEM, AUDIT_STATE_FILE: '/state' })
  expect(signer).toMatchObject({ origin: 'log.example/prod', stateFile: '/state' })
  expect(signer!.vkey).toMatch(/^log\.example\/prod\+[0-9a-f]{8}\+/)
  const line = privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64')
  expect(readAuditSettings({ ...named, AUDIT_KEY: line }).signer).toMatchObject({ vkey: signer!.vkey })
})

test('refuses a key that cannot sign, and a name that cannot be one', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'pem', type: 'pkcs8' })
  const noKey = ['AUDIT_KEY must be an Ed25519 private key, PKCS#8 in PEM or its base64 alone']
  for (const key of [rsa.toString(), 'garbage', PEM.replace('PRIVATE', 'PUBLIC').slice(0, 60)]) {
    expect(problems({ ...ENVIRONMENT, AUDIT_KEY: key, AUDIT_ORIGIN: 'log.example' })).toEqual(noKey)
  }
  expect(problems({ ...ENVIRONMENT, AUDIT_KEY: PEM })).toEqual(['AUDIT_ORIGIN is missing'])
  for (const origin of ['a log', 'a+b', 'a\tb']) {
    const wrong = ['AUDIT_ORIGIN must be a name without spaces and plus, as example.com/log']
    expect(problems({ ...ENVIRONMENT, AUDIT_KEY: PEM, AUDIT_ORIGIN: origin })).toEqual(wrong)
  }
})
