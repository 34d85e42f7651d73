// Signed notes and checkpoints: c2sp.org/signed-note with Ed25519, and c2sp.org/tlog-checkpoint. Pure; services and
// clients share it.
import { isSigned, rawPublicKey, readPublicKey, signText, type Key } from './ed25519.ts'
import { HASH_BYTES } from './merkle.ts'
import { sha256 } from './sha256.ts'

/** A public key, whose text form in signed notes is `name+hex id+base64`. */
export interface Verifier {
  name: string
  /** The key id: the first four bytes of each signature line. */
  id: Buffer
  key: Key
}

export interface Checkpoint {
  origin: string
  size: bigint
  root: Buffer
}

/** Key types of the signed-note specification: signatures of notes, and cosignatures of checkpoints with a time. */
export const KEY_TYPE = { note: 1, cosignature: 4 } as const
export type KeyType = (typeof KEY_TYPE)[keyof typeof KEY_TYPE]

const ID_BYTES = 4
const MAX_NOTE_BYTES = 64 * 1024

/** Whether the name is not empty and has no spaces, control characters or plus signs. */
export function isKeyName(name: string): boolean {
  return /^[^\s+\p{Cc}\p{Z}]+$/u.test(name)
}

/** Returns the text form of the public half of an Ed25519 key. */
export function formatVerifierKey(name: string, key: Key, type: KeyType = KEY_TYPE.note): string {
  const raw = rawPublicKey(key)
  return `${name}+${keyId(name, raw, type).toString('hex')}+${Buffer.concat([Buffer.of(type), raw]).toString('base64')}`
}

/** Returns undefined if the text is not an Ed25519 key of this type. */
export function findVerifier(text: string, type: KeyType = KEY_TYPE.note): Verifier | undefined {
  const [, name = '', id = '', encoded = ''] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text.trim()) ?? []
  const bytes = decodeBase64(encoded)
  if (!bytes || bytes.length !== 1 + HASH_BYTES || bytes[0] !== type || !isKeyName(name)) return undefined
  const raw = bytes.subarray(1)
  if (keyId(name, raw, type).toString('hex') !== id) return undefined
  return { name, id: Buffer.from(id, 'hex'), key: readPublicKey(raw) }
}

/** Returns the whole note: text, blank line, signature. `text` must end with a newline. */
export function signNote(text: string, name: string, key: Key): string {
  return `${text}\n${signatureLine(name, key, KEY_TYPE.note, signText(text, key))}`
}

/** Returns a signature line of a note, with its newline. */
export function signatureLine(name: string, key: Key, type: KeyType, signature: Uint8Array): string {
  return `— ${name} ${Buffer.concat([keyId(name, rawPublicKey(key), type), signature]).toString('base64')}\n`
}

/** Returns the text that the key has signed; undefined if the note is malformed or not signed by it. Ignores signatures by
 * other keys. */
export function openNote(note: string, { name, id, key }: Verifier): string | undefined {
  const parts = splitNote(note)
  if (!parts) return undefined
  let hasSigned = false
  for (const line of parts.signatures) {
    const found = findSignature(line)
    if (!found) return undefined
    if (found.name !== name || !found.id.equals(id)) continue
    if (!isSigned(parts.text, key, found.signature)) return undefined
    hasSigned = true
  }
  return hasSigned ? parts.text : undefined
}

/** Returns the text that one of several keys has signed, as during a key rotation. An invalid signature under any of the
 * keys invalidates the note. */
export function openNoteWithAny(note: string, verifiers: Verifier[]): { text: string; signer: Verifier } | undefined {
  const known = splitNote(note)?.signatures.map((line) => findSignature(line))
  const isBy = ({ name, id }: Verifier) => known?.some((found) => found?.name === name && found.id.equals(id))
  const signers = verifiers.filter(isBy)
  const texts = signers.map((verifier) => openNote(note, verifier))
  const [text] = texts
  return text === undefined || texts.includes(undefined) ? undefined : { text, signer: signers[0]! }
}

export interface NoteSignature {
  name: string
  id: Buffer
  signature: Buffer
}

/** Parses a signature line without its newline; returns undefined if it is malformed. */
export function findSignature(line: string): NoteSignature | undefined {
  const [, name, encoded = ''] = /^— ([^ ]+) ([^ ]+)$/.exec(line) ?? []
  const bytes = decodeBase64(encoded)
  if (!name || !isKeyName(name) || !bytes || bytes.length <= ID_BYTES) return undefined
  return { name, id: bytes.subarray(0, ID_BYTES), signature: bytes.subarray(ID_BYTES) }
}

/** Splits a note into text and signature lines, and verifies nothing. */
export function splitNote(note: string): { text: string; signatures: string[] } | undefined {
  const end = note.lastIndexOf('\n\n')
  // oxlint-disable-next-line no-control-regex
  if (end === -1 || Buffer.byteLength(note) > MAX_NOTE_BYTES || /[\u0000-\u0009\u000b-\u001f]/.test(note))
    return undefined
  if (!note.endsWith('\n') || end + 2 === note.length) return undefined
  return { text: note.slice(0, end + 1), signatures: note.slice(end + 2, -1).split('\n') }
}

export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${root.toString('base64')}\n`
}

/** Returns undefined if the text is not a checkpoint. Ignores extension lines, which follow the third. */
export function findCheckpoint(text: string): Checkpoint | undefined {
  const [origin = '', size = '', encoded = '', ...rest] = text.split('\n')
  const root = decodeBase64(encoded)
  if (origin === '' || !/^(0|[1-9][0-9]{0,18})$/.test(size) || root?.length !== HASH_BYTES) return undefined
  if (rest.length === 0 || rest.pop() !== '') return undefined
  return { origin, size: BigInt(size), root }
}

/** Returns undefined unless the text is the canonical encoding of its bytes. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return text !== '' && bytes.toString('base64') === text ? bytes : undefined
}

function keyId(name: string, raw: Buffer, type: KeyType): Buffer {
  return sha256(Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(type), raw])).subarray(0, ID_BYTES)
}
