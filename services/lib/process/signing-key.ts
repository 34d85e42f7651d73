// Ed25519 private keys from settings.
import { createPrivateKey, type KeyObject } from 'node:crypto'
import type { EnvReader } from './env.ts'
import { readText } from './settings.ts'

/** From the setting `name`, or the file that `NAME_FILE` names. Undefined where it is not set, or is no such key, which
 * is a problem of the environment. */
export function readSigningKey(env: EnvReader, name: string): KeyObject | undefined {
  const text = env.secret(name, readText, '')
  if (text === '') return undefined
  const key = findSigningKey(text)
  if (!key) env.problem(`${name} must be an Ed25519 private key, PKCS#8 in PEM or its base64 alone`)
  return key
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
