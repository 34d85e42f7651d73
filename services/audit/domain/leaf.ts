// A leaf: the bytes that are recorded and, later, proven. They are made here once and never again.
import canonicalize from 'canonicalize'
import { createHash } from 'node:crypto'

/** RFC 8785. */
export function canonicalJson(content: unknown): string {
  return canonicalize(content)!
}

/** The canonical JSON of `{ event, recordTime }`. `event` is canonical already, and its key sorts first. */
export function encodeLeaf(event: string, recordTime: string): string {
  return `${eventPart(event)}${JSON.stringify(recordTime)}}`
}

/** RFC 6962: the zero byte tells leaves from nodes. */
export function hashLeaf(leaf: string): Buffer {
  return createHash('sha256').update('\0').update(leaf).digest()
}

/** Whether a stored leaf is of exactly this event. */
export function holdsEvent(leaf: Buffer, event: string): boolean {
  const part = Buffer.from(eventPart(event))
  return leaf.subarray(0, part.length).equals(part)
}

function eventPart(event: string): string {
  return `{"event":${event},"recordTime":`
}
