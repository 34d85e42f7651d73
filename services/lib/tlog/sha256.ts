// SHA-256 by `node:crypto`. A browser build replaces this file and `ed25519.ts`, and nothing else in the folder.
import { hash } from 'node:crypto'

/** Converts from a binary string, which takes half the time of the buffer that `hash` can return. */
export function sha256(bytes: Uint8Array): Buffer {
  return Buffer.from(hash('sha256', bytes, 'binary'), 'binary')
}

export function sha256Base64(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'base64')
}
