// The server and token of a command: from options, then the environment, then the server that runs in this clone.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CliError, failUsage } from './terminal/cli-error.ts'

export interface Addresses {
  metadata: string
  artifact: string
  audit: string
}

export interface Settings {
  addresses: Addresses
  token: string
  /** The option, variable or directory that the address came from. */
  origin: string
}

export interface GlobalOptions {
  address?: string
  token?: string | undefined
  namespace?: string
  json?: boolean
}

export type Environment = Readonly<Record<string, string | undefined>>

const NOT_RUNNING = 'Start one in this directory with: npm start'

export function environment(): Environment {
  return process.env
}

export function readSettings(options: GlobalOptions, env: Environment): Settings {
  const embedded = findEmbedded(env)
  const { addresses, origin } = readAddresses(options, env, embedded)
  return { addresses, origin, token: readToken(options, env, addresses, embedded) }
}

function readAddresses(options: GlobalOptions, env: Environment, embedded: Embedded): Omit<Settings, 'token'> {
  if (options.address)
    return { addresses: sameAddress(parseAddress(options.address, '--address')), origin: '--address' }
  if (env['MODELKEEP_ADDRESS']) {
    const address = parseAddress(env['MODELKEEP_ADDRESS'], 'MODELKEEP_ADDRESS')
    return { addresses: sameAddress(address), origin: 'MODELKEEP_ADDRESS' }
  }
  const names = ['METADATA', 'ARTIFACT', 'AUDIT'].map((name) => `MODELKEEP_${name}_ADDRESS`)
  if (names.some((name) => env[name])) {
    const [metadata, artifact, audit] = names.map((name) => {
      if (!env[name]) failUsage(`${name} is missing`, `Set all three: ${names.join(', ')}.`)
      return parseAddress(env[name], name)
    }) as [string, string, string]
    return { addresses: { metadata, artifact, audit }, origin: 'MODELKEEP_…_ADDRESS' }
  }
  if (embedded.address) return { addresses: sameAddress(embedded.address), origin: embedded.directory }
  const message = embedded.stopped
    ? `Modelkeep server in ${embedded.directory} is not running`
    : `no Modelkeep server found in ${embedded.directory}, MODELKEEP_ADDRESS or --address`
  throw new CliError('unavailable', message, { hint: NOT_RUNNING })
}

/** Returns the token for an address, or undefined if none is configured for it. */
export function findToken(options: GlobalOptions, env: Environment, address: string): string | undefined {
  return tokenFor(options, env, [address], findEmbedded(env))
}

function readToken(options: GlobalOptions, env: Environment, addresses: Addresses, embedded: Embedded): string {
  const token = tokenFor(options, env, Object.values(addresses), embedded)
  if (token !== undefined) return token
  const file = embedded.address && `; the token of the local server is in ${join(embedded.directory, 'admin-token')}`
  throw new CliError('denied', 'no token found', {
    hint: `Set MODELKEEP_TOKEN or MODELKEEP_TOKEN_FILE${file || ''}; an administrator creates tokens with: modelkeep token create`,
  })
}

function tokenFor(
  options: GlobalOptions,
  env: Environment,
  addresses: string[],
  embedded: Embedded,
): string | undefined {
  if (options.token) return options.token.trim()
  if (env['MODELKEEP_TOKEN']) return env['MODELKEEP_TOKEN'].trim()
  const file = env['MODELKEEP_TOKEN_FILE']
  if (file) return readTokenFile(file)
  // The admin token of this clone is sent to the server of this clone only.
  const isEmbedded = addresses.every((address) => address.replace('//localhost:', '//127.0.0.1:') === embedded.address)
  return isEmbedded ? readTokenFile(join(embedded.directory, 'admin-token')) : undefined
}

function readTokenFile(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    const hint = 'Set MODELKEEP_TOKEN, or MODELKEEP_TOKEN_FILE to a readable file.'
    throw new CliError('denied', `token file ${file} cannot be read: ${(error as Error).message}`, { hint })
  }
}

interface Embedded {
  directory: string
  /** Undefined if no server runs. */
  address?: string
  /** Whether a server ran there before. */
  stopped?: boolean
}

function findEmbedded(env: Environment): Embedded {
  const directory = resolve(env['MODELKEEP_DATA'] || join(import.meta.dirname, '..', '..', '.modelkeep'))
  try {
    const { address, pid } = JSON.parse(readFileSync(join(directory, 'server.json'), 'utf8')) as Record<string, unknown>
    if (typeof address !== 'string' || typeof pid !== 'number') return { directory }
    return isRunning(pid) ? { directory, address: parseAddress(address, 'server.json') } : { directory, stopped: true }
  } catch (error) {
    if (error instanceof CliError) throw error
    return { directory }
  }
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !isZombie(pid)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Whether the process has ended, but its parent has not read the exit status. */
function isZombie(pid: number): boolean {
  try {
    return /^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

function sameAddress(address: string): Addresses {
  return { metadata: address, artifact: address, audit: address }
}

/** Accepts `http://host:port`, `https://host:port` and `host:port`, which means http. Throws CliError. */
export function parseAddress(text: string, where: string): string {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (!parsed || !['http:', 'https:'].includes(parsed.protocol) || parsed.pathname !== '/' || parsed.username) {
    failUsage(`${where} "${text}" is not an address`, 'Write it like http://localhost:7700.')
  }
  return parsed.origin
}
