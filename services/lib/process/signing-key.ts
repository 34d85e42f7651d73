// Ed25519 private keys from settings.
import { createPrivateKey, type KeyObject } from 'node:crypto'
import type { EnvReader } from './env.ts'
import { readText } from './settings.ts'

/** Reads the variable `name`, or the file that `NAME_FILE` names. Returns undefined if it is not set, or if it is not an
 * Ed25519 key, which is also reported as a problem. */
export function readSigningKey(env: EnvReader, name: string): KeyObject | undefined {
  const text = env.secret(name, readText, '')
  if (text === '') return undefined
  const key = findSigningKey(text)
  if (!key) env.problem(`${name} must be an Ed25519 private key, PKCS#8 in PEM or its base64 alone`)
  return key
}

/** Parses PKCS#8 in PEM, or its base64 alone, which fits on one line of an environment file. Returns undefined for
 * anything but an Ed25519 private key. */
export function findSigningKey(text: string): KeyObject | undefined {
  const base64 = text.replaceAll(/-----[A-Z ]+-----/g, '').replaceAll(/\s/g, '')
  try {
    const key = createPrivateKey({ key: Buffer.from(base64, 'base64'), format: 'der', type: 'pkcs8' })
    return key.asymmetricKeyType === 'ed25519' ? key : undefined
  } catch {
    return undefined
  }
}
