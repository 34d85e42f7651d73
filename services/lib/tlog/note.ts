// Signed notes and checkpoints: c2sp.org/signed-note with Ed25519, and c2sp.org/tlog-checkpoint. Pure; services and
// clients share it.
import { isSigned, rawPublicKey, readPublicKey, signText, type Key } from './ed25519.ts'
import { HASH_BYTES } from './merkle.ts'
import { sha256 } from './sha256.ts'

/** What a log's public key is called in the note's own text form, `name+hex id+base64`. */
export interface Verifier {
  name: string
  /** The first four bytes that a signature has. */
  id: Buffer
  key: Key
}

export interface Checkpoint {
  origin: string
  size: bigint
  root: Buffer
}

/** What a key signs, as the signed-note specification numbers it: notes, or checkpoints with the time. */
export const KEY_TYPE = { note: 1, cosignature: 4 } as const
export type KeyType = (typeof KEY_TYPE)[keyof typeof KEY_TYPE]

const ID_BYTES = 4
const MAX_NOTE_BYTES = 64 * 1024

/** Not empty, and without spaces, control characters and plus. */
export function isKeyName(name: string): boolean {
  return /^[^\s+\p{Cc}\p{Z}]+$/u.test(name)
}

/** The text form of the public half of an Ed25519 key. */
export function formatVerifierKey(name: string, key: Key, type: KeyType = KEY_TYPE.note): string {
  const raw = rawPublicKey(key)
  return `${name}+${keyId(name, raw, type).toString('hex')}+${Buffer.concat([Buffer.of(type), raw]).toString('base64')}`
}

/** Undefined where the text is no Ed25519 key of this type. */
export function findVerifier(text: string, type: KeyType = KEY_TYPE.note): Verifier | undefined {
  const [, name = '', id = '', encoded = ''] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text.trim()) ?? []
  const bytes = decodeBase64(encoded)
  if (!bytes || bytes.length !== 1 + HASH_BYTES || bytes[0] !== type || !isKeyName(name)) return undefined
  const raw = bytes.subarray(1)
  if (keyId(name, raw, type).toString('hex') !== id) return undefined
  return { name, id: Buffer.from(id, 'hex'), key: readPublicKey(raw) }
}

/** The whole note: text, blank line, signature. `text` ends with a newline. */
export function signNote(text: string, name: string, key: Key): string {
  return `${text}\n${signatureLine(name, key, KEY_TYPE.note, signText(text, key))}`
}

/** What a note has below its text for each signature, with the newline. */
export function signatureLine(name: string, key: Key, type: KeyType, signature: Uint8Array): string {
  return `— ${name} ${Buffer.concat([keyId(name, rawPublicKey(key), type), signature]).toString('base64')}\n`
}

/** The text that `verifier` has signed; undefined where the note is malformed or not signed by it. Signatures by other
 * keys are passed over. */
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

/** The text that one of several keys has signed, as during the rotation of a log's key. A signature that is wrong,
 * under any of the keys, spoils the note. */
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

/** A signature line, without its newline, taken apart; undefined where it is malformed. */
export function findSignature(line: string): NoteSignature | undefined {
  const [, name, encoded = ''] = /^— ([^ ]+) ([^ ]+)$/.exec(line) ?? []
  const bytes = decodeBase64(encoded)
  if (!name || !isKeyName(name) || !bytes || bytes.length <= ID_BYTES) return undefined
  return { name, id: bytes.subarray(0, ID_BYTES), signature: bytes.subarray(ID_BYTES) }
}

/** The note's text and its signature lines, nothing verified. */
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

/** Undefined where the text is no checkpoint. Lines after the third are extensions, and passed over. */
export function findCheckpoint(text: string): Checkpoint | undefined {
  const [origin = '', size = '', encoded = '', ...rest] = text.split('\n')
  const root = decodeBase64(encoded)
  if (origin === '' || !/^(0|[1-9][0-9]{0,18})$/.test(size) || root?.length !== HASH_BYTES) return undefined
  if (rest.length === 0 || rest.pop() !== '') return undefined
  return { origin, size: BigInt(size), root }
}

/** Undefined unless it is the one way to write these bytes. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return text !== '' && bytes.toString('base64') === text ? bytes : undefined
}

function keyId(name: string, raw: Buffer, type: KeyType): Buffer {
  return sha256(Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(type), raw])).subarray(0, ID_BYTES)
}
