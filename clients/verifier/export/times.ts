// Checks that record times never go backwards, part by part. Events without a retention class are exempt: logs that are
// older than retention classes recorded a clock that could be set back.
import type { LeafEvent } from './event.ts'
import { textOf } from './values.ts'

/** The record times of one part of an export. */
export interface RecordTimes {
  /** The time of the first entry; empty if the part has no entry. */
  first: string
  firstIndex: number
  isFirstBound: boolean
  last: string
  problems: string[]
}

export function emptyTimes(): RecordTimes {
  return { first: '', firstIndex: -1, isFirstBound: false, last: '', problems: [] }
}

/** Must be called for each entry of the part, in order. */
export function addTime(times: RecordTimes, index: number, { recordTime, retentionClass }: LeafEvent): void {
  const time = textOf(recordTime)
  const isBound = retentionClass !== undefined
  if (times.firstIndex === -1) Object.assign(times, { first: time, firstIndex: index, isFirstBound: isBound })
  else if (isBound && time < times.last) times.problems.push(describe(index, time))
  times.last = time
}

/** Returns the problems of a part that follows an entry recorded at `before`. */
export function checkTimes(before: string, { first, firstIndex, isFirstBound, problems }: RecordTimes): string[] {
  return isFirstBound && first < before ? [describe(firstIndex, first), ...problems] : problems
}

function describe(index: number, time: string): string {
  return `entry ${index} was recorded at ${time}, earlier than the entry before it`
}
