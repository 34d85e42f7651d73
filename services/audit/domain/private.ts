// Private values: the commitments of leaves to them, and how they are removed from an event and restored.
import { hash } from 'node:crypto'
import { canonicalJson } from './leaf.ts'

export type Json = Record<string, unknown>

export interface PrivateValue {
  /** `reason`, `details`, or `details.<key>`. */
  field: string
  /** Canonical JSON. */
  value: string
}

export interface Opening extends PrivateValue {
  salt: Buffer
}

/** An opening in the database. The salt and the value are gone once it is redacted. */
export type StoredOpening = (Opening & { redactIndex: null }) | { field: string; redactIndex: number }

export const SALT_BYTES = 32
const DETAIL = 'details.'

/** Returns the SHA-256 of the salt and the value, in Base64. The fixed length of the salt separates the two. */
export function commitTo({ salt, value }: Pick<Opening, 'salt' | 'value'>): string {
  return hash('sha256', Buffer.concat([salt, Buffer.from(value)]), 'base64')
}

/** Returns the private fields of an event: `details` as a whole where the event exceeds `maxBytes`. */
export function privateFieldsOf(event: Json, privateDetails: readonly string[], maxBytes: number): string[] {
  const fields = event['reason'] === undefined ? [] : ['reason']
  const details = event['details'] as Json | undefined
  if (!details) return fields
  if (Buffer.byteLength(JSON.stringify(event)) > maxBytes) return ['details', ...fields]
  const keys = privateDetails.filter((key) => Object.hasOwn(details, key))
  return [...keys.map((key) => `${DETAIL}${key}`), ...fields]
}

/** Returns the event without the fields, and the values of those that it has. */
export function removeValues(event: Json, fields: readonly string[]): { rest: Json; values: PrivateValue[] } {
  const rest = { ...event }
  const values: PrivateValue[] = []
  for (const field of fields) {
    const isDetail = field.startsWith(DETAIL)
    const holder = isDetail ? { ...(rest['details'] as Json | undefined) } : rest
    const key = isDetail ? field.slice(DETAIL.length) : field
    if (holder[key] === undefined) continue
    values.push({ field, value: canonicalJson(holder[key]) })
    delete holder[key]
    if (isDetail) rest['details'] = holder
  }
  return { rest, values }
}

/** Restores removed values in place. */
export function restoreValues(event: Json, values: readonly PrivateValue[]): void {
  for (const { field, value } of values) {
    const isDetail = field.startsWith(DETAIL)
    if (isDetail) event['details'] ??= {}
    const holder = isDetail ? (event['details'] as Json) : event
    holder[isDetail ? field.slice(DETAIL.length) : field] = JSON.parse(value)
  }
}
