// What can be said of a part of an export without the lines before it, so that several threads can look at parts.
import { hashLeafBase64, HASH_BYTES } from '#lib/tlog/merkle.ts'
import { findTold, type ErasedValue, type Told } from './erasures.ts'
import { putBack, readEvent, type LeafEvent } from './event.ts'
import { findEntryLine, findOpeningLine, isOpeningLine, type Line } from './export-file.ts'
import { findJudged } from '../replay/replay.ts'
import type { Judged } from '../replay/judged.ts'
import { linesOf } from './lines.ts'
import { checkOpenings, type Openings } from './openings.ts'
import { noteTime, noTimes, type Times } from './times.ts'
import { Tampered, Unusable } from '../verdict.ts'

/** What all parts of an export have in common. */
export interface Terms {
  /** Of the checkpoint. */
  size: number
  hasOpenings: boolean
}

/** The events of a producer in a part. */
export interface Run {
  /** Where the first is. */
  index: number
  line: number
  /** Of the first, as its leaf has it. */
  first: string
  last: number
}

export interface Part {
  lines: number
  /** The index of the first entry. */
  from: number
  /** Of the entries, one after the other. */
  hashes: Uint8Array
  runs: Map<string, Run>
  times: Times
  shown: number
  erased: ErasedValue[]
  /** What tells of erasures and holds. */
  telling: { index: number; line: number; told: Told }[]
  /** What rules look at, private values among it. */
  judged: Judged[]
  /** The first thing that is wrong. What follows it was not looked at. */
  wrong: { line: number; name: string; message: string } | undefined
}

export function checkPart(bytes: Buffer, terms: Terms): Part {
  const look = new Look(terms)
  let wrong: Part['wrong']
  try {
    for (const line of linesOf(bytes)) look.at(line)
    look.finish()
  } catch (error) {
    if (!(error instanceof Tampered || error instanceof Unusable)) throw error
    wrong = { line: look.lines, name: error.name, message: error.message }
  }
  return look.tell(wrong)
}

class Look {
  lines = 0
  readonly #terms: Terms
  #from = -1
  #next = -1
  #event: LeafEvent = {}
  /** Its private values that are not there. */
  #erased: string[] = []
  #hashes = Buffer.alloc(256 * HASH_BYTES)
  readonly #runs = new Map<string, Run>()
  readonly #times = noTimes()
  readonly #openings: Openings = checkOpenings()
  readonly #telling: Part['telling'] = []
  readonly #judged: Judged[] = []

  constructor(terms: Terms) {
    this.#terms = terms
  }

  at(line: Line): void {
    this.lines += 1
    if (isOpeningLine(line)) this.#addOpening(line)
    else this.#addEntry(line)
  }

  finish(): void {
    this.#openings.finish()
    this.#judge()
  }

  tell(wrong: Part['wrong']): Part {
    const { shown, erased } = this.#openings
    return {
      lines: this.lines,
      from: this.#from,
      hashes: this.#hashes.subarray(0, (this.#next - this.#from) * HASH_BYTES),
      runs: this.#runs,
      times: this.#times,
      shown,
      erased,
      telling: this.#telling,
      judged: this.#judged,
      wrong,
    }
  }

  #addOpening(line: Line): void {
    const opening = this.#terms.hasOpenings ? findOpeningLine(line) : undefined
    if (!opening) throw new Tampered('not a well-formed private value')
    this.#openings.open(opening)
    if ('value' in opening.opening) putBack(this.#event, opening.field, opening.opening.value)
    else this.#erased.push(opening.field)
  }

  #addEntry(line: Line): void {
    const entry = findEntryLine(line)
    if (!entry) throw new Tampered('not a well-formed entry')
    if (this.#from === -1) this.#from = this.#next = Number(entry.index)
    const index = this.#next
    requireNext(entry.index, index, this.#terms.size)
    this.#addHash(hashLeafBase64(entry.leaf), entry.hash, index)
    const event = readEvent(entry.leafText)
    if (event.commitments && !this.#terms.hasOpenings) {
      throw new Unusable(`entry ${index} has private values, which export format v1 leaves out`)
    }
    this.#countSequence(event, index)
    noteTime(this.#times, index, event)
    this.#openings.entry(index, event)
    const told = findTold(event)
    if (told) this.#telling.push({ index, line: this.lines, told })
    this.#judge()
    this.#event = event
    if (this.#erased.length > 0) this.#erased = []
    this.#next += 1
  }

  /** The event of the entry before, whose private values are there. */
  #judge(): void {
    const judged = findJudged(this.#next - 1, this.#event, this.#erased)
    if (judged) this.#judged.push(judged)
  }

  #addHash(own: string, told: string, index: number): void {
    if (own !== told) {
      throw new Tampered(`entry ${index} does not match its hash: one of the two was changed`)
    }
    const at = (index - this.#from) * HASH_BYTES
    if (at === this.#hashes.length) {
      const more = Buffer.alloc(2 * at)
      more.set(this.#hashes)
      this.#hashes = more
    }
    this.#hashes.write(own, at, 'base64')
  }

  #countSequence({ producer, sequence }: LeafEvent, index: number): void {
    if (typeof producer !== 'string' || typeof sequence !== 'string')
      throw new Tampered(`entry ${index} is not an event`)
    const run = this.#runs.get(producer)
    if (!run) this.#runs.set(producer, { index, line: this.lines, first: sequence, last: Number(sequence) })
    else run.last = requireFollowing(sequence, run.last, producer, index)
  }
}

/** `index`: as it is told. */
export function requireNext(index: string | number, next: number, size: number): void {
  if (String(index) !== String(next)) {
    throw new Tampered(`expected entry ${next}, found entry ${index}: entries are missing or moved`)
  }
  if (next >= size) throw new Tampered(`entry ${next} is beyond the checkpoint, which covers ${size} entries`)
}

/** The sequence as a number. `last`: the one before it. */
export function requireFollowing(sequence: string, last: number, producer: string, index: number): number {
  if (sequence === String(last + 1)) return last + 1
  throw new Tampered(
    `entry ${index} is event ${sequence} of ${producer}, but follows event ${last}: events are missing`,
  )
}
