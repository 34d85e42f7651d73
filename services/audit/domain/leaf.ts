// A leaf: the bytes that are recorded and, later, proven. They are made here once and never again.
import canonicalize from 'canonicalize'

/** RFC 8785. */
export function canonicalJson(content: unknown): string {
  return canonicalize(content)!
}

/** The canonical JSON of `{ event, recordTime }`. `event` is canonical already, and its key sorts first. */
export function encodeLeaf(event: string, recordTime: string): string {
  return `${eventPart(event)}${JSON.stringify(recordTime)}}`
}

/** Whether a stored leaf is of exactly this event. */
export function holdsEvent(leaf: Buffer, event: string): boolean {
  const part = Buffer.from(eventPart(event))
  return leaf.subarray(0, part.length).equals(part)
}

function eventPart(event: string): string {
  return `{"event":${event},"recordTime":`
}
