// The key that signs the log's checkpoints, and under which name.
import { createPrivateKey, type KeyObject } from 'node:crypto'
import type { EnvReader } from '#lib/env.ts'
import { findVerifier, formatVerifierKey, isKeyName } from '#lib/note.ts'
import { readText } from '#lib/settings.ts'

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
  const text = env.secret('AUDIT_KEY', readText, '')
  if (text === '') return undefined
  const origin = env.string('AUDIT_ORIGIN')
  const stateFile = env.string('AUDIT_STATE_FILE', '') || undefined
  const key = findSigningKey(text)
  if (!key) env.problem('AUDIT_KEY must be an Ed25519 private key, PKCS#8 in PEM or its base64 alone')
  const isName = isKeyName(origin)
  if (origin !== '' && !isName) env.problem('AUDIT_ORIGIN must be a name without spaces and plus, as example.com/log')
  return key && isName ? createSigner(origin, key, stateFile) : undefined
}

export function createSigner(origin: string, key: KeyObject, stateFile: string | undefined): Signer {
  const vkey = formatVerifierKey(origin, key)
  return { origin, key, vkey, keyId: findVerifier(vkey)!.id.toString('hex'), stateFile }
}

/** The base64 alone fits on one line of an environment file. */
export function findSigningKey(text: string): KeyObject | undefined {
  const base64 = text.replaceAll(/-----[A-Z ]+-----/g, '').replaceAll(/\s/g, '')
  try {
    const key = createPrivateKey({ key: Buffer.from(base64, 'base64'), format: 'der', type: 'pkcs8' })
    return key.asymmetricKeyType === 'ed25519' ? key : undefined
  } catch {
    return undefined
  }
}
