// Clocks that jump. When something occurred is recorded as its producer says it, however strange: the log tells of it.
import type { NewEvent } from './event.ts'

/** Clocks differ by so much, and transactions last so long, before anybody is told. */
export const TOLERATED_MS = 300_000

export interface Skew {
  producer: string
  /** `ahead`: the producer's clock is ahead of the log's. `back`: it was set back. `log`: that of the log was. */
  kind: 'ahead' | 'back' | 'log'
  seconds: number
  /** The event that showed it. */
  eventId: string
}

/** The times of the log and the producer before these events, in milliseconds. */
interface Clocks {
  producer: string
  /** By the log's clock. */
  clockMs: number
  /** When the last entry was recorded; at least `clockMs` where the clock goes on as it should. */
  recordMs: number
  /** When the producer's last event occurred; undefined before its first. */
  lastOccurMs: number | undefined
}

/** The first skew of each kind. */
export function findSkews(events: NewEvent[], { producer, clockMs, recordMs, lastOccurMs }: Clocks): Skew[] {
  const skews = new Map<Skew['kind'], Skew>()
  const note = (kind: Skew['kind'], ms: number, { id: eventId }: NewEvent): void => {
    if (ms <= TOLERATED_MS || skews.has(kind)) return
    skews.set(kind, { producer: kind === 'log' ? 'audit' : producer, kind, seconds: Math.round(ms / 1000), eventId })
  }
  let before = lastOccurMs ?? -Infinity
  for (const event of events) {
    const occurMs = Date.parse(String(event.content['occurTime']))
    note('ahead', occurMs - clockMs, event)
    note('back', before - occurMs, event)
    note('log', recordMs - clockMs, event)
    before = occurMs
  }
  return [...skews.values()]
}

const WORDS: Record<Skew['kind'], (skew: Skew) => string> = {
  ahead: ({ producer, seconds }) => `clock of producer "${producer}" is ${seconds} s ahead of the log's clock`,
  back: ({ producer, seconds }) => `clock of producer "${producer}" was set back by ${seconds} s`,
  log: ({ seconds }) => `log clock is ${seconds} s behind the last entry; new entries take the last entry's time`,
}

export function describeSkew(skew: Skew): string {
  return WORDS[skew.kind](skew)
}
