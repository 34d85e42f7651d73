import { expect, test } from 'vitest'
import { readMetadataSettings } from '../../services/metadata/config.ts'

const hash = 'a'.repeat(64)
const complete = {
  DATABASE_URL: 'postgresql://user:secret@db:5432/modelkeep',
  SERVICE_TOKEN: `mks_${'s'.repeat(40)}`,
  TRUSTED_SERVICES: `artifact=${hash},audit=${'b'.repeat(64)}`,
  ARTIFACT_ADDRESS: 'http://artifact:7702',
  AUDIT_ADDRESS: 'https://audit:7703',
}

test('has defaults for omitted settings', () => {
  expect(readMetadataSettings(complete)).toEqual({
    host: '127.0.0.1',
    port: 7701,
    logLevel: 'info',
    drainSeconds: 30,
    maxConnectionsPerAddress: 3072,
    authenticateSeconds: 10,
    bodySeconds: 30,
    maxConnections: 4096,
    database: { url: complete.DATABASE_URL, poolSize: 10, statementMs: 60_000, filterMs: 5_000 },
    serviceToken: complete.SERVICE_TOKEN,
    trustedServices: new Map([
      [hash, 'artifact'],
      ['b'.repeat(64), 'audit'],
    ]),
    artifactAddress: 'http://artifact:7702',
    auditAddress: 'https://audit:7703',
    failClosedSeconds: 0,
  })
})

test('reports all problems at once', () => {
  const wrong = { ...complete, PORT: 'x', ARTIFACT_ADDRESS: 'artifact:7702', AUDIT_ADDRESS: '' }
  const read = () => readMetadataSettings(wrong)
  for (const name of ['PORT must be', 'ARTIFACT_ADDRESS must be a URL', 'AUDIT_ADDRESS is missing']) {
    expect(read).toThrow(name)
  }
})
