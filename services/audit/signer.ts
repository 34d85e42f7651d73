// The key that signs the log's checkpoints, and under which name.
import type { KeyObject } from 'node:crypto'
import type { EnvReader } from '#lib/env.ts'
import { findVerifier, formatVerifierKey, isKeyName } from '#lib/note.ts'
import { readSigningKey } from '#lib/signing-key.ts'

export interface Signer {
  /** Names the log in its checkpoints, and the key. */
  origin: string
  key: KeyObject
  /** The public half, as verifiers take it. */
  vkey: string
  /** Tells the key from others, in hex. */
  keyId: string
  /** Keeps the last signed checkpoint outside the database, so that a restored backup is noticed. */
  stateFile: string | undefined
}

/** Undefined where no key is set: then this process signs nothing. */
export function readSigner(env: EnvReader): Signer | undefined {
  if (env.string('AUDIT_KEY', '') === '' && env.string('AUDIT_KEY_FILE', '') === '') return undefined
  const origin = env.string('AUDIT_ORIGIN')
  const stateFile = env.string('AUDIT_STATE_FILE', '') || undefined
  const key = readSigningKey(env, 'AUDIT_KEY')
  const isName = isKeyName(origin)
  if (origin !== '' && !isName) env.problem('AUDIT_ORIGIN must be a name without spaces and plus, as example.com/log')
  return key && isName ? createSigner(origin, key, stateFile) : undefined
}

export function createSigner(origin: string, key: KeyObject, stateFile: string | undefined): Signer {
  const vkey = formatVerifierKey(origin, key)
  return { origin, key, vkey, keyId: findVerifier(vkey)!.id.toString('hex'), stateFile }
}
