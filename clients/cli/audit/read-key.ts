import { readFile } from 'node:fs/promises'
import { findVerifier, type Verifier } from '#lib/note.ts'
import { complainUsage } from '../complaint.ts'

/** A public key as text, or a file that holds one. */
export async function readKey(key: string): Promise<Verifier> {
  const text = findVerifier(key) ? key : await readFile(key, 'utf8').catch(() => '')
  const verifier = findVerifier(text)
  if (!verifier) {
    complainUsage(`--key «${key}» is neither a public key nor a file with one`, 'It looks like name+12345678+AZ…=')
  }
  return verifier
}
