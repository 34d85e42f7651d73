// Whether the values beside the leaves are those that the leaves commit to, and what is missing was erased as the log
// tells.
import { hash } from 'node:crypto'
import type { LeafEvent } from './event.ts'
import type { OpeningLine } from './export-file.ts'
import { Tampered, Unmet } from './verdict.ts'

export interface Openings {
  /** The entry that follows, whose own openings follow it. */
  entry(index: number, event: LeafEvent): void
  /** The next opening. */
  open(line: OpeningLine): void
  /** Throws where something is left to be told. */
  finish(): void
  readonly shown: number
  readonly erased: number
}

const NONE: readonly [string, unknown][] = []

/** Of a log of `size` entries. What is thrown says which entry is meant. */
export function checkOpenings(size: bigint): Openings {
  let current = -1
  let awaited: readonly [string, unknown][] = NONE
  /** What each entry must tell the erasure of: `12 reason`. */
  const erased = new Map<number, string[]>()
  const beyond: string[] = []
  let [shownCount, erasedCount] = [0, 0]

  const requireNone = (): void => {
    const [next] = awaited
    if (next) throw new Tampered(`what entry ${current} commits to as ${next[0]} is missing, and no erasure is told`)
  }
  const erase = (field: string, redactIndex: string): void => {
    erasedCount += 1
    const told = `${current} ${field}`
    const by = Number(redactIndex)
    if (by <= current) throw new Tampered(`${told} cannot have been erased by ${redactIndex}`)
    if (by >= size) beyond.push(told)
    else erased.set(by, [...(erased.get(by) ?? []), told])
  }
  return {
    get shown() {
      return shownCount
    },
    get erased() {
      return erasedCount
    },
    entry(index, event) {
      requireNone()
      current = index
      awaited = event.commitments ? Object.entries(event.commitments) : NONE
      const missing = erased.get(index)
      requireTold(index, event, missing)
      if (missing) erased.delete(index)
    },
    open({ index, field, opening }) {
      const [next] = awaited
      if (index !== String(current) || field !== next?.[0]) {
        throw new Tampered(`entry ${current} commits to no ${field} here: values are missing or moved`)
      }
      awaited = awaited.length === 1 ? NONE : awaited.slice(1)
      if ('redactIndex' in opening) return erase(field, opening.redactIndex)
      shownCount += 1
      requireCommitted(opening, next[1], `${field} of entry ${current}`)
    },
    finish() {
      requireNone()
      if (beyond.length === 0) return
      throw new Unmet(`the erasure of ${beyond.join(', ')} is told after its last entry: export the log again`)
    },
  }
}

function requireCommitted(opening: { salt: Buffer; value: Buffer }, commitment: unknown, what: string): void {
  if (commitTo(opening) !== commitment) throw new Tampered(`the ${what} is not what its leaf commits to`)
}

/** What is hashed is put together here, where it fits: there may be as many values as entries. */
const committed = Buffer.alloc(64 * 1024)

function commitTo({ salt, value }: { salt: Buffer; value: Buffer }): string {
  const length = salt.length + value.length
  if (length > committed.length) return hash('sha256', Buffer.concat([salt, value]), 'base64')
  committed.set(salt)
  committed.set(value, salt.length)
  return hash('sha256', committed.subarray(0, length), 'base64')
}

/** An event of an erasure tells of exactly those values that are missing because of it. */
function requireTold(index: number, { type, producer, details }: LeafEvent, missing: string[] = []): void {
  const isRedaction = type === 'event.redacted.v1' && producer === 'audit'
  if (!isRedaction && missing.length === 0) return
  const fields = isRedaction && Array.isArray(details?.['fields']) ? (details['fields'] as unknown[]) : []
  const told = fields.map((field) => `${String(details?.['index'])} ${String(field)}`)
  const untold = missing.find((value) => !told.includes(value))
  if (untold !== undefined) throw new Tampered(`entry ${index} does not tell of the erasure of ${untold}`)
  const shown = told.find((value) => !missing.includes(value))
  if (shown !== undefined) throw new Tampered(`entry ${index} tells of the erasure of ${shown}, which is still there`)
}
