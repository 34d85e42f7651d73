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

export function parseTokenHash(hash: Uint8Array): Buffer {
  if (hash.length !== 32) failField('token_sha256', 'must be the 32 bytes of a SHA-256')
  return Buffer.from(hash)
}
