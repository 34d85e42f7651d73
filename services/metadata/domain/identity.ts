// Parsing of the fields of tokens and roles.
import { failField } from '#lib/errors/errors.ts'
import { DEFAULT_NAMESPACE } from './names.ts'
import { parseLine } from './text.ts'

const PRINCIPAL = /^[a-z0-9][a-z0-9._@-]{0,127}$/
const NAMESPACE = /^[a-z0-9][a-z0-9-]{0,62}$/
const MAX_DESCRIPTION_CHARACTERS = 255

/** Names of the roles, in the order of the proto enum `Role`. */
export const ROLES = ['READER', 'CONTRIBUTOR', 'ADMIN', 'APPROVER'] as const
export type RoleName = (typeof ROLES)[number]

export function parsePrincipal(text: string, field = 'principal'): string {
  if (!PRINCIPAL.test(text)) {
    failField(field, 'must be 1 to 128 characters: a-z, 0-9, ".", "_", "@" and "-", the first a letter or digit')
  }
  return text
}

/** Parses the name of a namespace, or `*` for all namespaces. An empty text is `default`. */
export function parseScope(text: string): string {
  const name = text || DEFAULT_NAMESPACE
  if (name !== '*' && !NAMESPACE.test(name)) {
    failField('namespace', 'must be "*", or 1 to 63 characters: a-z, 0-9 and "-", the first a letter or digit')
  }
  return name
}

/** Parses a value of the proto enum `Role`. */
export function parseRole(role: number): RoleName {
  return ROLES[role - 1] ?? failField('role', 'must be READER, CONTRIBUTOR, APPROVER or ADMIN')
}

export function parseTokenDescription(text: string): string {
  return parseLine(text, 'description', MAX_DESCRIPTION_CHARACTERS)
}

/** Requires a valid `google.protobuf.Timestamp`: from the year 1 to the year 9999, with less than a second of
 * nanoseconds. */
export function parseTime<T extends { seconds: bigint; nanos: number }>(time: T | undefined, field: string): T {
  if (time === undefined) failField(field, 'is required')
  const inRange = time.seconds >= -62_135_596_800n && time.seconds <= 253_402_300_799n
  if (!inRange || time.nanos < 0 || time.nanos > 999_999_999) {
    failField(field, 'must be a time from the year 1 to the year 9999')
  }
  return time
}

export function parseTokenHash(hash: Uint8Array): Buffer {
  if (hash.length !== 32) failField('token_sha256', 'must be the 32 bytes of a SHA-256')
  return Buffer.from(hash)
}
