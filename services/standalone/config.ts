import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { EnvReader, type Environment } from '#lib/process/env.ts'
import { readArtifactLimits, readDownloads } from '../artifact/config.ts'
import type { DownloadPolicy } from '../artifact/domain/download-policy.ts'
import type { ArtifactLimits } from '../artifact/service.ts'
import { readRetention } from '../audit/config.ts'
import type { Retention } from '../audit/domain/retention.ts'

export interface StandaloneSettings {
  /** Absolute path of the data directory: database, bytes, admin token and keys. */
  directory: string
  host: string
  /** 0 for any free port. */
  port: number
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error'
  drainSeconds: number
  limits: ArtifactLimits
  /** Which reads are recorded in the log. */
  downloads: DownloadPolicy
  /** How long private values are stored in the log. */
  retention: Retention
}

export const USAGE = `usage: npm start -- [--data DIRECTORY] [--host HOST] [--port PORT]

  --data   directory for all data; default MODELKEEP_DATA, or .modelkeep in this clone
  --host   address to listen on; default 127.0.0.1, this machine only
  --port   port to listen on; default 7700, 0 for any free port`

export const DEFAULT_DIRECTORY = join(import.meta.dirname, '..', '..', '.modelkeep')

/** The arguments of `npm start` are wrong. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** Returns undefined for `--help`. Throws UsageError or ConfigError. */
export function readStandaloneSettings(args: string[], environment: Environment): StandaloneSettings | undefined {
  const { data, host, port, help } = readArguments(args)
  if (help) return undefined
  const env = new EnvReader({ ...environment, ...(port === undefined ? {} : { '--port': port }) })
  const settings = {
    directory: resolve(data || env.string('MODELKEEP_DATA', DEFAULT_DIRECTORY)),
    host: host || '127.0.0.1',
    port: env.integer('--port', 7700, { min: 0, max: 65_535 }),
    logLevel: env.oneOf('LOG_LEVEL', ['trace', 'debug', 'info', 'warn', 'error'], 'warn'),
    drainSeconds: env.integer('DRAIN_SECONDS', 10, { min: 0, max: 3600 }),
    limits: readArtifactLimits(env),
    downloads: readDownloads(env),
    retention: readRetention(env),
  }
  env.check()
  return settings
}

function readArguments(args: string[]) {
  const text = { type: 'string' } as const
  try {
    return parseArgs({ args, options: { data: text, host: text, port: text, help: { type: 'boolean', short: 'h' } } })
      .values
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error })
  }
}
