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

test('tells all that is missing or wrong at once', () => {
  const problems = (environment: Record<string, string>): string[] => {
    try {
      readAuditSettings(environment)
      return []
    } catch (error) {
      return (error as ConfigError).problems
    }
  }
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
