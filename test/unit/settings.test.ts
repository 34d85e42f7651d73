import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { hashToken } from '../../services/lib/access/authenticate.ts'
import { ConfigError, EnvReader, type Environment } from '../../services/lib/process/env.ts'
import { readCommonSettings } from '../../services/lib/process/settings.ts'
import { createTemporaryDirectory } from '../support/temporary-directory.ts'

const hash = hashToken('mks_artifact').toString('hex')
const GOOD = {
  DATABASE_URL: 'postgresql://user:password@db:5432/modelkeep',
  SERVICE_TOKEN: `mks_${'x'.repeat(43)}`,
  TRUSTED_SERVICES: `artifact=${hash}`,
}

function read(environment: Environment) {
  const env = new EnvReader(environment)
  const settings = readCommonSettings(env, 7701)
  env.check()
  return settings
}

function problemsOf(environment: Environment): string[] {
  try {
    read(environment)
    return []
  } catch (error) {
    return (error as ConfigError).problems
  }
}

test('requires three settings, and has defaults for the others', () => {
  expect(read(GOOD)).toEqual({
    host: '127.0.0.1',
    port: 7701,
    maxConnections: 4096,
    tls: undefined,
    logLevel: 'info',
    drainSeconds: 30,
    maxConnectionsPerAddress: 3072,
    authenticateSeconds: 10,
    bodySeconds: 30,
    database: { url: GOOD.DATABASE_URL, poolSize: 10, statementMs: 60_000, filterMs: 5_000 },
    serviceToken: GOOD.SERVICE_TOKEN,
    trustedServices: new Map([[hash, 'artifact']]),
  })
})

test('reports all missing settings at once', () => {
  expect(problemsOf({})).toEqual(['DATABASE_URL is missing', 'SERVICE_TOKEN is missing', 'TRUSTED_SERVICES is missing'])
})

test('reports all invalid settings at once, without secrets', () => {
  const secret = 'short-and-secret'
  const problems = problemsOf({
    HOST: '',
    PORT: '65536',
    LOG_LEVEL: 'loud',
    DRAIN_SECONDS: '-1',
    DATABASE_URL: 'mysql://user:pa55word@db',
    DATABASE_POOL_SIZE: '1',
    DATABASE_STATEMENT_SECONDS: '-1',
    DATABASE_FILTER_SECONDS: '0.5',
    SERVICE_TOKEN: secret,
    TRUSTED_SERVICES: `artifact=${hash},console=${hash},audit=abc`,
  })
  const settings = ['PORT', 'LOG_LEVEL', 'DRAIN_SECONDS', 'DATABASE_URL', 'DATABASE_POOL_SIZE', 'SERVICE_TOKEN']
  const limits = ['DATABASE_STATEMENT_SECONDS', 'DATABASE_FILTER_SECONDS']
  for (const name of [...settings, ...limits, 'TRUSTED_SERVICES']) expect(problems.join('\n')).toContain(`${name} must`)
  expect(problems.join('\n')).not.toContain(secret)
  expect(problems.join('\n')).not.toContain('pa55word')
})

test('reads secrets from files', () => {
  const path = join(createTemporaryDirectory(), 'token')
  writeFileSync(path, `${GOOD.SERVICE_TOKEN}\n`)
  const { SERVICE_TOKEN: serviceToken, ...rest } = GOOD
  expect(read({ ...rest, SERVICE_TOKEN_FILE: path }).serviceToken).toBe(serviceToken)
  expect(problemsOf({ ...rest, SERVICE_TOKEN_FILE: `${path}.gone` })).toEqual(['SERVICE_TOKEN_FILE cannot be read'])
})

test('requires a certificate and its key for TLS', () => {
  const vector = (name: string): string => fileURLToPath(new URL(`../support/tls/${name}`, import.meta.url))
  const tls = { TLS_CERT_FILE: vector('localhost.cert.pem'), TLS_KEY_FILE: vector('localhost.key.pem') }
  expect(read({ ...GOOD, ...tls }).tls).toMatchObject({ key: expect.stringContaining('PRIVATE KEY') as string })
  const alone = problemsOf({ ...GOOD, TLS_CERT_FILE: tls.TLS_CERT_FILE })
  expect(alone).toContain('TLS_CERT_FILE and TLS_KEY_FILE must be set together')
  expect(problemsOf({ ...GOOD, ...tls, TLS_KEY_FILE: tls.TLS_CERT_FILE })).toEqual([
    'TLS_CERT_FILE and TLS_KEY_FILE must hold a certificate and its private key, in PEM',
  ])
})
