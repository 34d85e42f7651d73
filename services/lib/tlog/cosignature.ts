// Cosignatures: c2sp.org/tlog-cosignature with Ed25519. A witness says with one that, as of a time, a checkpoint is the
// largest it has seen of a log, and continues all it saw before. Pure; services and clients share it.
import { isSigned, signText, type Key } from './ed25519.ts'
import { findSignature, KEY_TYPE, signatureLine, splitNote, type Verifier } from './note.ts'

const TIME_BYTES = 8
const SIGNATURE_BYTES = 64
const MAX_TIME = 2n ** 63n - 1n

/** The signature line over a checkpoint's text, with its newline. `time`: seconds since 1970. */
export function cosign(text: string, name: string, key: Key, time: bigint): string {
  const timestamp = Buffer.alloc(TIME_BYTES)
  timestamp.writeBigUInt64BE(time)
  const signature = signText(cosignedText(text, time), key)
  return signatureLine(name, key, KEY_TYPE.cosignature, Buffer.concat([timestamp, signature]))
}

/** When the cosigner has signed this checkpoint, the last time if more than once, in seconds since 1970; undefined where
 * it has not; `forged` where a line in its name is wrong, which spoils the note. */
export function findCosignature(note: string, cosigner: Verifier): bigint | 'forged' | undefined {
  const parts = splitNote(note)
  let last: bigint | undefined
  for (const line of parts?.signatures ?? []) {
    const time = timeOf(line, parts!.text, cosigner)
    if (time === 'forged') return time
    if (time !== undefined && time > (last ?? 0n)) last = time
  }
  return last
}

function timeOf(line: string, text: string, { name, id, key }: Verifier): bigint | 'forged' | undefined {
  const found = findSignature(line)
  if (!found || found.name !== name || !found.id.equals(id)) return undefined
  const { signature } = found
  if (signature.length !== TIME_BYTES + SIGNATURE_BYTES) return 'forged'
  const time = signature.readBigUInt64BE()
  if (time < 1n || time > MAX_TIME) return 'forged'
  const isValid = isSigned(cosignedText(text, time), key, signature.subarray(TIME_BYTES))
  return isValid ? time : 'forged'
}

function cosignedText(text: string, time: bigint): string {
  return `cosignature/v1\ntime ${time}\n${text}`
}
