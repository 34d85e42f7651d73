// Ed25519 by `node:crypto`. A browser build replaces this file and `sha256.ts`, and nothing else in the folder.
import { createPublicKey, sign, verify, type KeyObject } from 'node:crypto'

export type Key = KeyObject

/** The bytes that precede the raw key in the DER encoding of a public key (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

/** `raw` is the 32 bytes of a public key. */
export function readPublicKey(raw: Buffer): Key {
  return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' })
}

/** Returns the 32 bytes of the public key, or of the public half of a private key. */
export function rawPublicKey(key: Key): Buffer {
  const spki = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'der', type: 'spki' })
  return spki.subarray(SPKI_PREFIX.length)
}

export function signText(text: string, key: Key): Buffer {
  return sign(null, Buffer.from(text), key)
}

export function isSigned(text: string, key: Key, signature: Uint8Array): boolean {
  return verify(null, Buffer.from(text), key, signature)
}
