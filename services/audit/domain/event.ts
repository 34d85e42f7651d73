// Events on their way into the log: how they are sealed, and which of a batch are new.
import type { Timestamp } from '@bufbuild/protobuf/wkt'
import { randomBytes } from 'node:crypto'
import { fail } from '#lib/errors/errors.ts'
import { canonicalJson, encodeLeaf, isLeafOf } from './leaf.ts'
import type { RetentionClass } from './retention.ts'
import { commitTo, SALT_BYTES, removeValues, type Json, type Opening, type StoredOpening } from './private.ts'

export const MAX_EVENTS = 256
export const MAX_EVENT_BYTES = 1024 * 1024
/** Limit of the public part of an event. An entry bundle has two bytes for a leaf's length, and the leaf also has
 * commitments and the record time. */
export const MAX_PUBLIC_BYTES = 60_000
export const MAX_REASON_BYTES = 2048
/** Limit of every other text that has a column: longer texts do not fit an index. */
export const MAX_TEXT_BYTES = 1024

export interface NewEvent {
  id: string
  sequence: number
  type: string
  actor: string
  outcome: 'SUCCEEDED' | 'DENIED'
  namespace: string
  resourceType: string
  resourceId: string
  resourceName: string
  resourceDigest: string
  requestId: string
  occurTime: Timestamp
  retentionClass: RetentionClass
  /** The event as JSON. */
  content: Json
  /** The fields that the leaf only commits to. */
  privateFields: string[]
}

export interface StoredEvent {
  index: number
  leaf: Buffer
  openings: StoredOpening[]
}

/** Returns the leaf of the event, and the openings of its private values with fresh salts. */
export function sealEvent(
  { content, privateFields, retentionClass }: NewEvent,
  recordTime: string,
): { leaf: string; openings: Opening[] } {
  const { rest, values } = removeValues(content, privateFields)
  const openings = values.map((value) => ({ ...value, salt: randomBytes(SALT_BYTES) }))
  rest['retentionClass'] = `RETENTION_CLASS_${retentionClass}`
  if (openings.length > 0)
    rest['commitments'] = Object.fromEntries(openings.map((opening) => [opening.field, commitTo(opening)]))
  return { leaf: encodeLeaf(canonicalJson(rest), recordTime), openings }
}

/** Fields of an event that the log has added. */
interface Added {
  commitments?: Record<string, string>
  retentionClass?: string
}

/** Returns whether the stored event equals the new one. An erased value equals any value. */
function isStored({ leaf, openings }: StoredEvent, { content }: NewEvent): boolean {
  const { event } = JSON.parse(leaf.toString()) as { event: Added }
  const { commitments, retentionClass } = event
  const { rest, values } = removeValues(content, Object.keys(commitments ?? {}))
  const added = { ...(commitments && { commitments }), ...(retentionClass && { retentionClass }) }
  if (!isLeafOf(leaf, canonicalJson({ ...rest, ...added }))) return false
  return openings.every((opening) => {
    const value = values.find(({ field }) => field === opening.field)?.value
    if (value === undefined || opening.redactIndex !== null) return value !== undefined
    return commitTo({ salt: opening.salt, value }) === commitments?.[opening.field]
  })
}

/** Returns the events that are not recorded yet. The others must equal the recorded ones, and the new ones must continue the
 * producer's sequence at `expected`. `stored` has the recorded events with the same ids. Fails with SEQUENCE_GAP or
 * EVENT_ALTERED. */
export function findNewEvents(
  producer: string,
  events: NewEvent[],
  expected: number,
  stored: ReadonlyMap<string, StoredEvent>,
): NewEvent[] {
  let next = Math.min(events[0]!.sequence, expected)
  for (const event of events) {
    if (event.sequence !== next) failGap(producer, next, event.sequence)
    const known = stored.get(event.id)
    const isRepeat = event.sequence < expected
    if (isRepeat ? !known || !isStored(known, event) : known) failAltered(event.id)
    next += 1
  }
  const fresh = events.filter(({ sequence }) => sequence >= expected)
  const ids = new Set<string>()
  for (const { id } of fresh) if (ids.size === ids.add(id).size) failAltered(id)
  return fresh
}

function failGap(producer: string, expected: number, got: number): never {
  fail('SEQUENCE_GAP', `event sequence of "${producer}" has a gap; expected ${expected}, got ${got}`, {
    producer,
    expected: String(expected),
    got: String(got),
  })
}

function failAltered(id: string): never {
  fail('EVENT_ALTERED', `event "${id}" or its sequence is already recorded with different content`, { event_id: id })
}
