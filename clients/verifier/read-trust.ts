import { readFile } from 'node:fs/promises'
import { findVerifier, type Verifier } from '#lib/tlog/note.ts'
import { parsePolicy, PolicyError, type Policy } from '#lib/tlog/policy.ts'
import { failUsage } from './verifier-error.ts'
import type { Trust } from './open-checkpoint.ts'

export interface TrustOptions {
  /** Public keys as text, or files that hold one or more, a line each. */
  key?: string[] | undefined
  /** The file of a policy. */
  policy?: string | undefined
}

/** Where no key is given, the policy's logs are trusted. */
export async function readTrust(options: TrustOptions): Promise<Trust> {
  const policy = options.policy === undefined ? undefined : await readPolicy(options.policy)
  const given = (await Promise.all((options.key ?? []).map(readKeys))).flat()
  const keys = given.length > 0 ? given : (policy?.logs ?? [])
  const [first] = keys
  if (!first) {
    failUsage('public key of the log is missing', 'Pass it with --key, or as a line "log VKEY" in the --policy file.')
  }
  const other = keys.find(({ name }) => name !== first.name)
  if (other) failUsage(`keys belong to two logs, ${first.name} and ${other.name}`)
  return { name: first.name, keys, policy }
}

async function readKeys(key: string): Promise<Verifier[]> {
  const text = findVerifier(key) ? key : await readFile(key, 'utf8').catch(() => '')
  const keys = text.split('\n').filter((line) => line.trim() !== '')
  const verifiers = keys.map((line) => findVerifier(line))
  if (verifiers.length === 0 || verifiers.includes(undefined)) {
    failUsage(`--key "${key}" is neither a public key nor a file with one`, 'A key looks like name+12345678+AZ…=.')
  }
  return verifiers as Verifier[]
}

async function readPolicy(file: string): Promise<Policy> {
  const text = await readFile(file, 'utf8').catch(() => failUsage(`--policy "${file}" cannot be read`))
  try {
    return parsePolicy(text)
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error
    failUsage(
      `--policy "${file}" is not a valid policy: ${error.message}`,
      'The format is that of c2sp.org/tlog-policy.',
    )
  }
}
