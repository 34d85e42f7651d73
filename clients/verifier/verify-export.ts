// Checks an export with nothing but a public key: no server, and no package beyond Node.
import { setImmediate } from 'node:timers/promises'
import { appendLeaf, EMPTY_ROOT, HASH_BYTES, rootOf, type Range } from '#lib/tlog/merkle.ts'
import type { Checkpoint } from '#lib/tlog/note.ts'
import { watchErasures } from './export/erasures.ts'
import { findHeader } from './export/export-file.ts'
import { requireFollowing, requireNext, type Part, type Terms } from './export/export-part.ts'
import { replayGovernance, type Replayed } from './replay/replay.ts'
import { splitParts } from './export/lines.ts'
import { openCheckpoint, requireQuorum, type Trust } from './open-checkpoint.ts'
import { checkHere, checkInThreads } from './export/part-threads.ts'
import { judgeTimes } from './export/times.ts'
import { Tampered, Unusable } from './verdict.ts'

export interface Verified {
  checkpoint: Checkpoint
  /** The last sequence of each producer. */
  producers: Map<string, number>
  /** The root of the first `oldSize` entries; undefined where there are not as many. */
  oldRoot: Buffer | undefined
  /** Private values that are there, and that were erased. */
  values: { shown: number; erased: number }
  /** What was replayed of the registry's rules. */
  replayed: Replayed
}

/** Threads take a while to begin, and to get fast. */
const THREADS_FROM = 50_000n

/** Re-derives the root from the leaves, and compares it with the signed one. Throws Tampered, Unusable or Unmet. */
export async function verifyExport(chunks: AsyncIterable<Buffer>, trust: Trust, oldSize?: bigint): Promise<Verified> {
  const parts = splitParts(chunks)
  const first = await parts.next()
  if (first.done) throw new Unusable('the file is empty')
  const { checkpoint, note, terms } = readHeader(first.value, trust)
  const joined = new JoinedParts(terms, oldSize)
  const checker = (checkpoint.size < THREADS_FROM ? checkHere : checkInThreads)(terms)
  try {
    const open: Promise<Part>[] = []
    let end: { error?: unknown } | undefined
    for (;;) {
      while (!end && open.length <= checker.ahead) {
        const { value, done } = await parts
          .next()
          .catch((error: unknown) => ({ value: { error }, done: true as const }))
        if (done) end = value ?? {}
        else open.push(checker.check(value))
      }
      const part = await open.shift()
      if (!part) break
      joined.add(part)
      // What threads have done comes in.
      await setImmediate()
    }
    // What is wrong further up was told first.
    if (end?.error) throw end.error
  } finally {
    await checker.close()
  }
  const verified = joined.finish(checkpoint)
  requireQuorum(note, trust)
  return { checkpoint, ...verified }
}

function readHeader(line: Buffer, trust: Trust): { note: string; checkpoint: Checkpoint; terms: Terms } {
  const header = findHeader(line.toString())
  if (header === undefined) throw new Unusable('the first line is not an export header')
  try {
    const checkpoint = openCheckpoint(header.checkpoint, trust)
    const terms = { size: Number(checkpoint.size), hasOpenings: header.hasOpenings }
    return { note: header.checkpoint, checkpoint, terms }
  } catch (error) {
    throw new Tampered(`line 1: ${(error as Error).message}`, { cause: error })
  }
}

/** What the parts so far say together. */
class JoinedParts {
  readonly #terms: Terms
  readonly #oldSize: number | undefined
  #oldRoot: Buffer | undefined
  #lines = 1
  readonly #range: Range = { size: 0, peaks: [] }
  /** When the last entry was recorded. */
  #recordTime = ''
  readonly #producers = new Map<string, number>()
  readonly #values = { shown: 0, erased: 0 }
  readonly #governance = replayGovernance()
  readonly #erasures = watchErasures((wrong) => this.#governance.complain(wrong))

  constructor(terms: Terms, oldSize: bigint | undefined) {
    this.#terms = terms
    this.#oldSize = oldSize === undefined ? undefined : Number(oldSize)
    if (oldSize === 0n) this.#oldRoot = EMPTY_ROOT
  }

  add(part: Part): void {
    const first = new First()
    const { runs, erased, telling, wrong } = part
    if (part.from !== -1) first.of(1, () => requireNext(part.from, this.#range.size, this.#terms.size))
    if (wrong) first.of(wrong.line, () => raise(wrong))
    for (const [producer, { index, line, first: sequence }] of runs) {
      first.of(line, () => void requireFollowing(sequence, this.#producers.get(producer) ?? 0, producer, index))
    }
    for (const value of erased) this.#erasures.expect(value)
    for (const { index, line, told } of telling) first.of(line, () => this.#erasures.tell(index, told))
    first.raise(this.#lines)
    this.#lines += part.lines
    for (const late of judgeTimes(this.#recordTime, part.times)) this.#governance.complain(late)
    this.#recordTime = part.times.last || this.#recordTime
    this.#values.shown += part.shown
    this.#values.erased += erased.length
    for (const [producer, { last }] of runs) this.#producers.set(producer, last)
    this.#grow(Buffer.from(part.hashes.buffer, part.hashes.byteOffset, part.hashes.length))
    for (const event of part.judged) this.#governance.judge(event)
  }

  #grow(hashes: Buffer): void {
    for (let at = 0; at < hashes.length; at += HASH_BYTES) {
      appendLeaf(this.#range, hashes.subarray(at, at + HASH_BYTES))
      if (this.#range.size === this.#oldSize) this.#oldRoot = rootOf(this.#range)
    }
  }

  finish({ size, root }: Checkpoint): Omit<Verified, 'checkpoint'> {
    requireSize(this.#range.size, size)
    requireRoot(this.#range.size, rootOf(this.#range), root)
    this.#erasures.finish(this.#range.size)
    this.#governance.finish()
    return {
      producers: this.#producers,
      oldRoot: this.#oldRoot,
      values: this.#values,
      replayed: this.#governance.replayed,
    }
  }
}

/** What is wrong on the first line on which anything is. */
class First {
  #line = Infinity
  #error: Tampered | Unusable | undefined

  of(line: number, check: () => void): void {
    if (line >= this.#line) return
    try {
      check()
    } catch (error) {
      if (!(error instanceof Tampered || error instanceof Unusable)) throw error
      this.#line = line
      this.#error = error
    }
  }

  /** `before`: how many lines there were before. */
  raise(before: number): void {
    const error = this.#error
    if (error instanceof Tampered) throw new Tampered(`line ${before + this.#line}: ${error.message}`, { cause: error })
    if (error) throw error
  }
}

function raise({ name, message }: NonNullable<Part['wrong']>): never {
  if (name === 'Unusable') throw new Unusable(message)
  throw new Tampered(message)
}

function requireSize(count: number, size: bigint): void {
  if (count >= size) return
  throw new Tampered(
    `the export ends after entry ${count - 1}, but the checkpoint covers ${size} entries: the last entries are missing`,
  )
}

function requireRoot(count: number, derived: Buffer, root: Buffer): void {
  if (derived.equals(root)) return
  throw new Tampered(
    `the root of the ${count} entries is ${derived.toString('base64')}, but ${root.toString('base64')} was ` +
      'signed: entries were changed together with their hashes',
  )
}
