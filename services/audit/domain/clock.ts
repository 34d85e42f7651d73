// Clock skews. The log records the occur time that the producer sends, however strange, and an event about the skew.
import type { NewEvent } from './event.ts'

/** Differences up to this are normal: clocks differ a little, and transactions last a while. */
export const TOLERATED_MS = 300_000

export interface Skew {
  producer: string
  /** `ahead`: the producer's clock is ahead of the log's. `back`: it was set back. `log`: the log's clock was set back. */
  kind: 'ahead' | 'back' | 'log'
  seconds: number
  /** The event that showed it. */
  eventId: string
}

/** Times of the log and the producer before the events, in milliseconds since 1970. */
interface Clocks {
  producer: string
  /** The log's clock. */
  clockMs: number
  /** The record time of the new entries: later than `clockMs` where the log's clock was set back. */
  recordMs: number
  /** When the producer's last event occurred; undefined before its first. */
  lastOccurMs: number | undefined
}

/** Returns the first skew of each kind. */
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

const DESCRIPTIONS: Record<Skew['kind'], (skew: Skew) => string> = {
  ahead: ({ producer, seconds }) => `clock of producer "${producer}" is ${seconds} s ahead of the log's clock`,
  back: ({ producer, seconds }) => `clock of producer "${producer}" was set back by ${seconds} s`,
  log: ({ seconds }) => `log clock is ${seconds} s behind the last entry; new entries take the last entry's time`,
}

export function describeSkew(skew: Skew): string {
  return DESCRIPTIONS[skew.kind](skew)
}
