// Whether times of record never go backwards, part by part. Logs from before there were retention classes promised no such
// thing: they recorded what a clock said that was set back.
import type { LeafEvent } from './event.ts'
import { textOf } from './values.ts'

export interface Times {
  /** The first entry's; empty where there is none. */
  first: string
  firstIndex: number
  isFirstBound: boolean
  last: string
  /** What is wrong. */
  wrong: string[]
}

export function noTimes(): Times {
  return { first: '', firstIndex: -1, isFirstBound: false, last: '', wrong: [] }
}

/** Of each entry in turn. */
export function noteTime(times: Times, index: number, { recordTime, retentionClass }: LeafEvent): void {
  const time = textOf(recordTime)
  const isBound = retentionClass !== undefined
  if (times.firstIndex === -1) Object.assign(times, { first: time, firstIndex: index, isFirstBound: isBound })
  else if (isBound && time < times.last) times.wrong.push(describe(index, time))
  times.last = time
}

/** What is wrong with the times of a part, after the part before. */
export function judgeTimes(before: string, { first, firstIndex, isFirstBound, wrong }: Times): string[] {
  return isFirstBound && first < before ? [describe(firstIndex, first), ...wrong] : wrong
}

function describe(index: number, time: string): string {
  return `entry ${index} was recorded at ${time}, earlier than the entry before it`
}
