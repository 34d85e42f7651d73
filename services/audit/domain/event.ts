// An event on its way into the log, and whether it may enter.
import { fail } from '#lib/errors.ts'
import { holdsEvent } from './leaf.ts'

export const MAX_EVENTS = 256
/** An entry bundle of the Merkle log gives a leaf's length in two bytes; the rest is for the record time. */
export const MAX_EVENT_BYTES = 60_000
export const MAX_REASON_BYTES = 2048
/** Of every other text that has a column: more does not fit an index. */
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
  reason: string
  requestId: string
  /** As PostgreSQL reads it. */
  occurTime: string
  /** The whole event as canonical JSON. */
  canonical: string
}

export interface StoredEvent {
  index: number
  leaf: Buffer
}

/** The events that the log does not have yet. Those it has must be the same; the others must continue the producer's
 * sequence at `expected`. `stored`: what the log has under the events' ids. */
export function findFresh(
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
    if (isRepeat ? !known || !holdsEvent(known.leaf, event.canonical) : known) failAltered(event.id)
    next += 1
  }
  const fresh = events.filter(({ sequence }) => sequence >= expected)
  const ids = new Set<string>()
  for (const { id } of fresh) if (ids.size === ids.add(id).size) failAltered(id)
  return fresh
}

function failGap(producer: string, expected: number, got: number): never {
  fail('SEQUENCE_GAP', `the events of ${producer} must continue at sequence ${expected}, not ${got}`, {
    producer,
    expected: String(expected),
    got: String(got),
  })
}

function failAltered(id: string): never {
  fail('EVENT_ALTERED', `the event ${id}, or its sequence, is in the log with other content`, { event_id: id })
}
