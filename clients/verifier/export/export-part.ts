// Checks a part of an export without the lines before it, so that several threads can check parts at once.
import { hashLeafBase64, HASH_BYTES } from '#lib/tlog/merkle.ts'
import { findPrivacyEvent, type ErasedValue, type PrivacyEvent } from './erasures.ts'
import { readEvent, restoreValue, type LeafEvent } from './event.ts'
import { findEntryLine, findOpeningLine, isOpeningLine, type Line } from './export-file.ts'
import { findReplayEvent } from '../replay/replay.ts'
import type { ReplayEvent } from '../replay/replay-event.ts'
import { linesOf } from './lines.ts'
import { checkOpenings, type Openings } from './openings.ts'
import { addTime, emptyTimes, type RecordTimes } from './times.ts'
import { Tampered, Unusable } from '../verdict.ts'

/** The facts of an export that the check of each part needs. */
export interface PartContext {
  /** The number of entries that the checkpoint covers. */
  size: number
  hasOpenings: boolean
}

/** The events of one producer in a part. */
export interface SequenceRun {
  /** The entry of the first event. */
  index: number
  line: number
  /** The sequence of the first event, as its leaf states it. */
  first: string
  last: number
}

/** The result of checking a part. */
export interface Part {
  lines: number
  /** The index of the first entry; -1 if the part has none. */
  from: number
  /** The leaf hashes of the entries, concatenated. */
  hashes: Uint8Array
  runs: Map<string, SequenceRun>
  times: RecordTimes
  shown: number
  erased: ErasedValue[]
  privacyEvents: { index: number; line: number; event: PrivacyEvent }[]
  replayEvents: ReplayEvent[]
  /** The first problem. The lines after it were not checked. */
  problem: { line: number; name: string; message: string } | undefined
}

export function checkPart(bytes: Buffer, context: PartContext): Part {
  const scan = new PartScan(context)
  let problem: Part['problem']
  try {
    for (const line of linesOf(bytes)) scan.add(line)
    scan.finish()
  } catch (error) {
    if (!(error instanceof Tampered || error instanceof Unusable)) throw error
    problem = { line: scan.lines, name: error.name, message: error.message }
  }
  return scan.result(problem)
}

class PartScan {
  lines = 0
  readonly #context: PartContext
  #from = -1
  #next = -1
  /** The event of the last entry. Its private values are restored as their lines follow. */
  #event: LeafEvent = {}
  /** The fields of the last entry that were erased. */
  #erased: string[] = []
  #hashes = Buffer.alloc(256 * HASH_BYTES)
  readonly #runs = new Map<string, SequenceRun>()
  readonly #times = emptyTimes()
  readonly #openings: Openings = checkOpenings()
  readonly #privacyEvents: Part['privacyEvents'] = []
  readonly #replayEvents: ReplayEvent[] = []

  constructor(context: PartContext) {
    this.#context = context
  }

  add(line: Line): void {
    this.lines += 1
    if (isOpeningLine(line)) this.#addOpening(line)
    else this.#addEntry(line)
  }

  finish(): void {
    this.#openings.finish()
    this.#addReplayEvent()
  }

  result(problem: Part['problem']): Part {
    const { shown, erased } = this.#openings
    return {
      lines: this.lines,
      from: this.#from,
      hashes: this.#hashes.subarray(0, (this.#next - this.#from) * HASH_BYTES),
      runs: this.#runs,
      times: this.#times,
      shown,
      erased,
      privacyEvents: this.#privacyEvents,
      replayEvents: this.#replayEvents,
      problem,
    }
  }

  #addOpening(line: Line): void {
    const opening = this.#context.hasOpenings ? findOpeningLine(line) : undefined
    if (!opening) throw new Tampered('not a well-formed private value')
    this.#openings.open(opening)
    if ('value' in opening.opening) restoreValue(this.#event, opening.field, opening.opening.value)
    else this.#erased.push(opening.field)
  }

  #addEntry(line: Line): void {
    const entry = findEntryLine(line)
    if (!entry) throw new Tampered('not a well-formed entry')
    if (this.#from === -1) this.#from = this.#next = Number(entry.index)
    const index = this.#next
    requireNext(entry.index, index, this.#context.size)
    this.#addHash(hashLeafBase64(entry.leaf), entry.hash, index)
    const event = readEvent(entry.leafText)
    if (event.commitments && !this.#context.hasOpenings) {
      throw new Unusable(`entry ${index} has private values, which export format v1 leaves out`)
    }
    this.#countSequence(event, index)
    addTime(this.#times, index, event)
    this.#openings.entry(index, event)
    const privacyEvent = findPrivacyEvent(event)
    if (privacyEvent) this.#privacyEvents.push({ index, line: this.lines, event: privacyEvent })
    this.#addReplayEvent()
    this.#event = event
    if (this.#erased.length > 0) this.#erased = []
    this.#next += 1
  }

  /** Adds the event of the last entry, whose private values are complete. */
  #addReplayEvent(): void {
    const event = findReplayEvent(this.#next - 1, this.#event, this.#erased)
    if (event) this.#replayEvents.push(event)
  }

  #addHash(derived: string, stated: string, index: number): void {
    if (derived !== stated) {
      throw new Tampered(`entry ${index} does not match its hash: one of the two was changed`)
    }
    const at = (index - this.#from) * HASH_BYTES
    if (at === this.#hashes.length) {
      const larger = Buffer.alloc(2 * at)
      larger.set(this.#hashes)
      this.#hashes = larger
    }
    this.#hashes.write(derived, at, 'base64')
  }

  #countSequence({ producer, sequence }: LeafEvent, index: number): void {
    if (typeof producer !== 'string' || typeof sequence !== 'string')
      throw new Tampered(`entry ${index} is not an event`)
    const run = this.#runs.get(producer)
    if (!run) this.#runs.set(producer, { index, line: this.lines, first: sequence, last: Number(sequence) })
    else run.last = requireFollowing(sequence, run.last, producer, index)
  }
}

/** `index`: as the export states it. Throws Tampered. */
export function requireNext(index: string | number, next: number, size: number): void {
  if (String(index) !== String(next)) {
    throw new Tampered(`expected entry ${next}, found entry ${index}: entries are missing or moved`)
  }
  if (next >= size) throw new Tampered(`entry ${next} is beyond the checkpoint, which covers ${size} entries`)
}

/** Returns the sequence as a number. `last`: the sequence before it. Throws Tampered. */
export function requireFollowing(sequence: string, last: number, producer: string, index: number): number {
  if (sequence === String(last + 1)) return last + 1
  throw new Tampered(
    `entry ${index} is event ${sequence} of ${producer}, but follows event ${last}: events are missing`,
  )
}
