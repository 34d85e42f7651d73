// Verifies an export against a public key, without a server.
import { setImmediate } from 'node:timers/promises'
import { appendLeaf, EMPTY_ROOT, HASH_BYTES, rootOf, type Range } from '#lib/tlog/merkle.ts'
import type { Checkpoint } from '#lib/tlog/note.ts'
import { trackErasures } from './export/erasures.ts'
import { findHeader } from './export/export-file.ts'
import { requireFollowing, requireNext, type Part, type PartContext } from './export/export-part.ts'
import { replayGovernance, type Replayed } from './replay/replay.ts'
import { splitParts } from './export/lines.ts'
import { openCheckpoint, requireQuorum, type Trust } from './open-checkpoint.ts'
import { checkInline, checkInThreads } from './export/part-threads.ts'
import { checkTimes } from './export/times.ts'
import { Tampered, Unusable } from './verdict.ts'

export interface Verified {
  checkpoint: Checkpoint
  /** The last sequence of each producer. */
  producers: Map<string, number>
  /** The root of the first `oldSize` entries; undefined if the export has fewer. */
  oldRoot: Buffer | undefined
  /** The number of private values that the export contains, and of those that were erased. */
  values: { shown: number; erased: number }
  replayed: Replayed
}

/** From this number of entries on, threads save more time than they need to start. */
const MIN_ENTRIES_FOR_THREADS = 50_000n

/** Derives the root from the leaves, and compares it with the signed root. Throws Tampered, Unusable or Unmet. */
export async function verifyExport(chunks: AsyncIterable<Buffer>, trust: Trust, oldSize?: bigint): Promise<Verified> {
  const parts = splitParts(chunks)
  const first = await parts.next()
  if (first.done) throw new Unusable('the file is empty')
  const { checkpoint, note, context } = readHeader(first.value, trust)
  const joined = new JoinedParts(context, oldSize)
  const checker = (checkpoint.size < MIN_ENTRIES_FOR_THREADS ? checkInline : checkInThreads)(context)
  try {
    const pending: Promise<Part>[] = []
    let end: { error?: unknown } | undefined
    for (;;) {
      while (!end && pending.length <= checker.maxPending) {
        const { value, done } = await parts
          .next()
          .catch((error: unknown) => ({ value: { error }, done: true as const }))
        if (done) end = value ?? {}
        else pending.push(checker.check(value))
      }
      const part = await pending.shift()
      if (!part) break
      joined.add(part)
      // Yields to the event loop, so that results of threads arrive.
      await setImmediate()
    }
    // A problem in an earlier part has been thrown before this one.
    if (end?.error) throw end.error
  } finally {
    await checker.close()
  }
  const verified = joined.finish(checkpoint)
  requireQuorum(note, trust)
  return { checkpoint, ...verified }
}

function readHeader(line: Buffer, trust: Trust): { note: string; checkpoint: Checkpoint; context: PartContext } {
  const header = findHeader(line.toString())
  if (header === undefined) throw new Unusable('the first line is not an export header')
  try {
    const checkpoint = openCheckpoint(header.checkpoint, trust)
    const context = { size: Number(checkpoint.size), hasOpenings: header.hasOpenings }
    return { note: header.checkpoint, checkpoint, context }
  } catch (error) {
    throw new Tampered(`line 1: ${(error as Error).message}`, { cause: error })
  }
}

/** The state after the parts so far: checks what no part can check alone. */
class JoinedParts {
  readonly #context: PartContext
  readonly #oldSize: number | undefined
  #oldRoot: Buffer | undefined
  #lines = 1
  readonly #range: Range = { size: 0, peaks: [] }
  /** The record time of the last entry. */
  #recordTime = ''
  readonly #producers = new Map<string, number>()
  readonly #values = { shown: 0, erased: 0 }
  readonly #governance = replayGovernance()
  readonly #erasures = trackErasures((problem) => this.#governance.report(problem))

  constructor(context: PartContext, oldSize: bigint | undefined) {
    this.#context = context
    this.#oldSize = oldSize === undefined ? undefined : Number(oldSize)
    if (oldSize === 0n) this.#oldRoot = EMPTY_ROOT
  }

  add(part: Part): void {
    const first = new FirstProblem()
    const { runs, erased, privacyEvents, problem } = part
    if (part.from !== -1) first.check(1, () => requireNext(part.from, this.#range.size, this.#context.size))
    if (problem) first.check(problem.line, () => raise(problem))
    for (const [producer, { index, line, first: sequence }] of runs) {
      first.check(line, () => void requireFollowing(sequence, this.#producers.get(producer) ?? 0, producer, index))
    }
    for (const value of erased) this.#erasures.expect(value)
    for (const { index, line, event } of privacyEvents) first.check(line, () => this.#erasures.record(index, event))
    first.raise(this.#lines)
    this.#lines += part.lines
    for (const late of checkTimes(this.#recordTime, part.times)) this.#governance.report(late)
    this.#recordTime = part.times.last || this.#recordTime
    this.#values.shown += part.shown
    this.#values.erased += erased.length
    for (const [producer, { last }] of runs) this.#producers.set(producer, last)
    this.#grow(Buffer.from(part.hashes.buffer, part.hashes.byteOffset, part.hashes.length))
    for (const event of part.replayEvents) this.#governance.replay(event)
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

/** The problem of a part that is on the lowest line. */
class FirstProblem {
  #line = Infinity
  #error: Tampered | Unusable | undefined

  check(line: number, work: () => void): void {
    if (line >= this.#line) return
    try {
      work()
    } catch (error) {
      if (!(error instanceof Tampered || error instanceof Unusable)) throw error
      this.#line = line
      this.#error = error
    }
  }

  /** `before`: the number of lines before the part. */
  raise(before: number): void {
    const error = this.#error
    if (error instanceof Tampered) throw new Tampered(`line ${before + this.#line}: ${error.message}`, { cause: error })
    if (error) throw error
  }
}

function raise({ name, message }: NonNullable<Part['problem']>): never {
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
