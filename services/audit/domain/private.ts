// Private values: what a leaf says of them, and how they are taken out of an event and put back.
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

/** A private value as the store has it. */
export type StoredOpening = (Opening & { redactIndex: null }) | { field: string; redactIndex: number }

export const SALT_BYTES = 32
const DETAIL = 'details.'

/** The salt has a fixed length, so that it cannot be mistaken for a part of the value. */
export function commitTo({ salt, value }: Pick<Opening, 'salt' | 'value'>): string {
  return hash('sha256', Buffer.concat([salt, Buffer.from(value)]), 'base64')
}

/** The fields of an event that are private. `details` as a whole where they do not fit a leaf. */
export function choosePrivate(event: Json, privateDetails: readonly string[], maxBytes: number): string[] {
  const fields = event['reason'] === undefined ? [] : ['reason']
  const details = event['details'] as Json | undefined
  if (!details) return fields
  if (Buffer.byteLength(JSON.stringify(event)) > maxBytes) return ['details', ...fields]
  const keys = privateDetails.filter((key) => Object.hasOwn(details, key))
  return [...keys.map((key) => `${DETAIL}${key}`), ...fields]
}

/** The event without the fields, and their values; those it does not have are left out. */
export function takeOut(event: Json, fields: readonly string[]): { rest: Json; values: PrivateValue[] } {
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

/** Puts values back where they were, in place. */
export function putBack(event: Json, values: readonly PrivateValue[]): void {
  for (const { field, value } of values) {
    const isDetail = field.startsWith(DETAIL)
    if (isDetail) event['details'] ??= {}
    const holder = isDetail ? (event['details'] as Json) : event
    holder[isDetail ? field.slice(DETAIL.length) : field] = JSON.parse(value)
  }
}
