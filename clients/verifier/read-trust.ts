import { readFile } from 'node:fs/promises'
import { findVerifier, type Verifier } from '#lib/tlog/note.ts'
import { parsePolicy, PolicyError, type Policy } from '#lib/tlog/policy.ts'
import { failUsage } from './verifier-error.ts'
import type { Trust } from './open-checkpoint.ts'

export interface TrustOptions {
  /** Public keys, or files that contain one public key per line. */
  key?: string[] | undefined
  /** The path of a policy file. */
  policy?: string | undefined
}

/** Reads keys and policy. Without a key, the log keys of the policy are trusted. Throws VerifierError. */
export async function readTrust(options: TrustOptions): Promise<Trust> {
  const policy = options.policy === undefined ? undefined : await readPolicy(options.policy)
  const keysGiven = (await Promise.all((options.key ?? []).map(readKeys))).flat()
  const keys = keysGiven.length > 0 ? keysGiven : (policy?.logs ?? [])
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
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  const verifiers = lines.map((line) => findVerifier(line))
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
