// UUIDs and digests as strings.
import { failField } from '../errors/errors.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const DIGEST = /^sha256:[0-9a-f]{64}$/

export function isUuid(text: string): boolean {
  return UUID.test(text)
}

/** Returns the UUID in lower case, or throws FIELD_INVALID. */
export function parseUuid(text: string, field: string): string {
  if (!isUuid(text)) failField(field, 'must be a UUID')
  return text.toLowerCase()
}

/** Returns `sha256:` and 64 lower-case hex digits, or throws FIELD_INVALID. */
export function parseDigest(text: string, field: string): string {
  if (!DIGEST.test(text)) failField(field, 'must be "sha256:" and 64 lower-case hex digits')
  return text
}
