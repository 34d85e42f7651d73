// Leaves: the bytes that are recorded and proven. They are encoded once, here, and never again.
import canonicalize from 'canonicalize'

/** Encodes JSON as RFC 8785 prescribes. */
export function canonicalJson(content: unknown): string {
  return canonicalize(content)!
}

/** Returns the canonical JSON of `{ event, recordTime }`. `event` must be canonical JSON; its key sorts first. */
export function encodeLeaf(event: string, recordTime: string): string {
  return `${eventPart(event)}${JSON.stringify(recordTime)}}`
}

/** Returns whether a stored leaf is the leaf of exactly this event. */
export function isLeafOf(leaf: Buffer, event: string): boolean {
  const part = Buffer.from(eventPart(event))
  return leaf.subarray(0, part.length).equals(part)
}

function eventPart(event: string): string {
  return `{"event":${event},"recordTime":`
}
