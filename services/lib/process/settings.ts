// Settings that all services have.
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { SERVICE_TOKEN_PREFIX, type TrustedServices } from '../access/authenticate.ts'
import { EnvReader } from './env.ts'
import { BODY_SECONDS } from '../server/limits/body-timer.ts'
import { AUTHENTICATE_SECONDS, MAX_CONNECTIONS, defaultMaxPerAddress } from '../server/limits/connections.ts'
import type { Address } from '../server/listen.ts'
import type { StoreOptions } from '../store/database.ts'

export const SERVICE_NAMES = ['metadata', 'artifact', 'audit'] as const
export type ServiceName = (typeof SERVICE_NAMES)[number]

/** Settings of every process that listens on a port. */
export interface ProcessSettings {
  host: string
  port: number
  /** Further connections are closed at once. */
  maxConnections: number
  /** Certificate and key in PEM; undefined for plain text. */
  tls: Address['tls']
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error'
  /** Calls in flight get this long to end after a stop signal. */
  drainSeconds: number
}

export interface CommonSettings extends ProcessSettings {
  maxConnectionsPerAddress: number
  /** Time limit for the first authenticated call of a connection. */
  authenticateSeconds: number
  /** Time limit for the body of a call with one request message. */
  bodySeconds: number
  database: Required<StoreOptions>
  /** This service's own token, which it presents to its peers. */
  serviceToken: string
  trustedServices: TrustedServices
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const
const MIN_TOKEN_LENGTH = 40

export function readCommonSettings(env: EnvReader, defaultPort: number): CommonSettings {
  const common = readProcessSettings(env, defaultPort)
  const perAddress = defaultMaxPerAddress(common.maxConnections)
  return {
    ...common,
    maxConnectionsPerAddress: env.integer('MAX_CONNECTIONS_PER_ADDRESS', perAddress, { min: 1, max: 1_000_000 }),
    authenticateSeconds: env.integer('AUTHENTICATE_SECONDS', AUTHENTICATE_SECONDS, { min: 1, max: 600 }),
    bodySeconds: env.integer('REQUEST_BODY_SECONDS', BODY_SECONDS, { min: 1, max: 3600 }),
    database: {
      url: readDatabaseUrl(env),
      poolSize: env.integer('DATABASE_POOL_SIZE', 10, { min: 2, max: 200 }),
      statementMs: env.integer('DATABASE_STATEMENT_SECONDS', 60, { min: 0, max: 86_400 }) * 1000,
      filterMs: env.integer('DATABASE_FILTER_SECONDS', 5, { min: 0, max: 86_400 }) * 1000,
    },
    serviceToken: readServiceToken(env),
    trustedServices: readTrustedServices(env),
  }
}

export function readProcessSettings(env: EnvReader, defaultPort: number): ProcessSettings {
  return {
    host: env.string('HOST', '127.0.0.1'),
    port: env.integer('PORT', defaultPort, { min: 0, max: 65_535 }),
    maxConnections: env.integer('MAX_CONNECTIONS', MAX_CONNECTIONS, { min: 1, max: 1_000_000 }),
    tls: readTls(env),
    logLevel: env.oneOf('LOG_LEVEL', LOG_LEVELS, 'info'),
    drainSeconds: env.integer('DRAIN_SECONDS', 30, { min: 0, max: 3600 }),
  }
}

/** Reads the files that `TLS_CERT_FILE` and `TLS_KEY_FILE` name. */
function readTls(env: EnvReader): Address['tls'] {
  const given = ['TLS_CERT', 'TLS_KEY'].filter((name) => env.string(`${name}_FILE`, '') !== '')
  if (given.length === 0) return undefined
  if (given.length === 1) env.problem('TLS_CERT_FILE and TLS_KEY_FILE must be set together')
  const tls = { cert: env.secret('TLS_CERT', readText, ''), key: env.secret('TLS_KEY', readText, '') }
  try {
    createSecureContext(tls)
  } catch {
    env.problem('TLS_CERT_FILE and TLS_KEY_FILE must hold a certificate and its private key, in PEM')
  }
  return tls
}

export function readDatabaseUrl(env: EnvReader): string {
  const url = env.secret('DATABASE_URL', readText)
  if (url !== '' && !/^postgres(ql)?:\/\//.test(url))
    env.problem('DATABASE_URL must be a URL that begins with postgresql://')
  return url
}

export function readText(path: string): string {
  return readFileSync(path, 'utf8')
}

function readServiceToken(env: EnvReader): string {
  const token = env.secret('SERVICE_TOKEN', readText)
  if (token !== '' && (!token.startsWith(SERVICE_TOKEN_PREFIX) || token.length < MIN_TOKEN_LENGTH)) {
    env.problem(
      `SERVICE_TOKEN must begin with ${SERVICE_TOKEN_PREFIX} and have at least ${MIN_TOKEN_LENGTH} characters`,
    )
  }
  return token
}

/** Reads `TRUSTED_SERVICES=artifact=<SHA-256 of its token in hex>,audit=<…>`. */
function readTrustedServices(env: EnvReader): TrustedServices {
  const trusted = new Map<string, string>()
  for (const entry of env.string('TRUSTED_SERVICES').split(',').filter(Boolean)) {
    const [name = '', hash = ''] = entry.trim().split('=')
    if (!(SERVICE_NAMES as readonly string[]).includes(name) || !/^[0-9a-f]{64}$/.test(hash)) {
      env.problem('TRUSTED_SERVICES must look like artifact=<SHA-256 of its SERVICE_TOKEN in hex>,audit=<…>')
    } else trusted.set(hash, name)
  }
  return trusted
}
