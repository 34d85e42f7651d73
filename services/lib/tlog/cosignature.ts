// Cosignatures: c2sp.org/tlog-cosignature with Ed25519. With a cosignature a witness states that, at the given time, the
// checkpoint is the largest it has seen of the log and is consistent with all earlier ones. Pure; services and clients
// share it.
import { isSigned, signText, type Key } from './ed25519.ts'
import { findSignature, KEY_TYPE, signatureLine, splitNote, type Verifier } from './note.ts'

const TIME_BYTES = 8
const SIGNATURE_BYTES = 64
const MAX_TIME = 2n ** 63n - 1n

/** Returns the signature line over a checkpoint's text, with its newline. `time` is in seconds since 1970. */
export function cosign(text: string, name: string, key: Key, time: bigint): string {
  const timestamp = Buffer.alloc(TIME_BYTES)
  timestamp.writeBigUInt64BE(time)
  const signature = signText(cosignedText(text, time), key)
  return signatureLine(name, key, KEY_TYPE.cosignature, Buffer.concat([timestamp, signature]))
}

/** Returns the time of the cosigner's signature in seconds since 1970, the latest of several; undefined if it has not
 * signed; `forged` if a line under its name is invalid, which invalidates the note. */
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
